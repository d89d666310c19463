import type { RoomAlias, RoomId } from "../model/ids.ts";

export const PIN_SOURCES = ["config", "operator", "lists"] as const;
/** Whose word the alias is in: an exception of the configuration's or of the operator's, or the name of a policy list. */
export type PinSource = (typeof PIN_SOURCES)[number];

/**
 * The room that an alias stood for when somebody with the right to do so named it. An alias is a pointer in other hands: what is said of
 * it holds for that room, and for no other that it is pointed to later.
 */
export interface Pin {
  readonly alias: RoomAlias;
  readonly roomId: RoomId;
  readonly at: number;
}

/** Each call is one commit. */
export interface PinStore {
  of(source: PinSource): Promise<readonly Pin[]>;
  /** Sets where an alias stands, in place of what was there, with an audit row. */
  pin(source: PinSource, pin: Pin): Promise<void>;
  unpin(source: PinSource, alias: RoomAlias): Promise<void>;
}

/** Whether a pattern is one alias, and no glob of aliases. */
export function isOneAlias(pattern: string): pattern is RoomAlias {
  return pattern.startsWith("#") && !/[*?]/.test(pattern);
}
