import type { RoomAlias, RoomId } from "../model/ids.ts";

/** Where the alias is named: in an exception of the configuration or the operator, or as a policy list's name. */
export type PinSource = "config" | "operator" | "lists";

/**
 * The room that an alias stood for when somebody with the right to do so named it. Others control where the alias
 * points. So what is said of the alias applies to this room, and to no room that it points to later.
 */
export interface Pin {
  readonly alias: RoomAlias;
  readonly roomId: RoomId;
  readonly at: number;
}

/** Whether a pattern is a single alias and not a glob. */
export function isOneAlias(pattern: string): pattern is RoomAlias {
  return pattern.startsWith("#") && !/[*?]/.test(pattern);
}
