/** The client-server API below both names that clients use for it; r0 is what it was called before spec v1.1. */
export const CLIENT_V3: readonly string[] = ["/_matrix/client/v3", "/_matrix/client/r0"];
/** Where newer endpoints stand. */
export const CLIENT_V1: readonly string[] = ["/_matrix/client/v1"];
