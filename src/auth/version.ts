/** Version 12 with the join rule `peekable`. */
export const ROOM_VERSION = "org.matrix.msc1777.12";

/** The join rule that MSC1777 adds. */
export const PEEKABLE = "peekable";

/** Content key in a pseudouser's join: the user of its server who vouches for it. */
export const VOUCHED_FOR_BY = "org.matrix.msc1777.vouched_for_by";

/** Whether the rules of a room version are implemented here: ours, and the one that it extends. */
export function isKnownVersion(version: unknown): version is "12" | typeof ROOM_VERSION {
  return version === "12" || version === ROOM_VERSION;
}

/** Whether a room version has the join rule `peekable`. In all others, the rule is unknown and lets nobody join. */
export function hasPeekableRule(version: unknown): boolean {
  return version === ROOM_VERSION;
}
