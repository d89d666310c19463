/** The client-server API below both names that clients use for it; r0 is what it was called before spec v1.1. */
export const CLIENT_V3: readonly string[] = ["/_matrix/client/v3", "/_matrix/client/r0"];
/** Where newer endpoints stand. */
export const CLIENT_V1: readonly string[] = ["/_matrix/client/v1"];

/**
 * The same with the names under which homeservers answer them besides: what was called so before r0, and what is called so by clients
 * of a server's own. A path that is looked at under one name is looked at under all.
 */
export const CLIENT_EVERY: readonly string[] = [...CLIENT_V3, "/_matrix/client/api/v1", "/_matrix/client/unstable"];
export const CLIENT_V1_EVERY: readonly string[] = [...CLIENT_V1, "/_matrix/client/unstable"];
