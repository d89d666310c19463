/** Prefixes of the client-server API. Before spec v1.1 v3 was called r0. */
export const CLIENT_V3: readonly string[] = ["/_matrix/client/v3", "/_matrix/client/r0"];
export const CLIENT_V1: readonly string[] = ["/_matrix/client/v1"];

/** All prefixes that homeservers serve, also from before r0 and unstable. We examine a path under all or none. */
export const CLIENT_EVERY: readonly string[] = [...CLIENT_V3, "/_matrix/client/api/v1", "/_matrix/client/unstable"];
export const CLIENT_V1_EVERY: readonly string[] = [...CLIENT_V1, "/_matrix/client/unstable"];
