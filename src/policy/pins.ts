import type { RoomAlias, RoomId } from "../model/ids.ts";

export const PIN_SOURCES = ["config", "operator", "lists"] as const;
/** Where the alias is named: in an exception of the configuration or the operator, or as a policy list's name. */
export type PinSource = (typeof PIN_SOURCES)[number];

/**
 * The room that an alias stood for when somebody with the right to do so named it. Others control where the alias
 * points. So what is said of the alias applies to this room, and to no room that it points to later.
 */
export interface Pin {
  readonly alias: RoomAlias;
  readonly roomId: RoomId;
  readonly at: number;
}

/** Each call is one commit. */
export interface PinStore {
  of(source: PinSource): Promise<readonly Pin[]>;
  /** Pins an alias to a room, replacing an earlier pin, with an audit row. */
  pin(source: PinSource, pin: Pin): Promise<void>;
  unpin(source: PinSource, alias: RoomAlias): Promise<void>;
}

/** Whether a pattern is a single alias and not a glob. */
export function isOneAlias(pattern: string): pattern is RoomAlias {
  return pattern.startsWith("#") && !/[*?]/.test(pattern);
}
