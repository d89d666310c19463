/** Prefixes of the client-server API. Before spec v1.1 v3 was called r0. */
export const CLIENT_V3: readonly string[] = ["/_matrix/client/v3", "/_matrix/client/r0"];
export const CLIENT_V1: readonly string[] = ["/_matrix/client/v1"];

/** All prefixes that homeservers serve, also from before r0 and unstable. We examine a path under all or none. */
export const CLIENT_EVERY: readonly string[] = [...CLIENT_V3, "/_matrix/client/api/v1", "/_matrix/client/unstable"];
export const CLIENT_V1_EVERY: readonly string[] = [...CLIENT_V1, "/_matrix/client/unstable"];

/** Returns the path of something in a room. Encodes each segment. */
export function roomPath(roomId: string, ...segments: readonly string[]): string {
  return `/_matrix/client/v3/rooms/${[roomId, ...segments].map(encodeURIComponent).join("/")}`;
}

/** Returns the path of a user's membership in a room. */
export function memberPath(roomId: string, userId: string): string {
  return roomPath(roomId, "state", "m.room.member", userId);
}
