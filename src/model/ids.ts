/**
 * Matrix identifiers as branded strings (spec, appendices, "Identifier Grammar"). Checked once, where text enters.
 * Other servers may send more than may be newly made, so these guards check only sigil, length and server name.
 */
declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type ServerName = Branded<"ServerName">;
export type UserId = Branded<"UserId">;
export type RoomId = Branded<"RoomId">;
export type RoomAlias = Branded<"RoomAlias">;
export type EventId = Branded<"EventId">;
export type TenantId = Branded<"TenantId">;

/** The longest identifier in the specification, in bytes, including sigil and domain. */
const MAX_BYTES = 255;

/** Host name, IPv4 or bracketed IPv6, with an optional port. */
const SERVER_NAME = /^(?:[A-Za-z0-9.-]{1,230}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/;

/**
 * A tenant's name is part of a user ID: lower-case letters, digits, `-`, `_`, `.`, beginning with a letter or digit.
 */
const TENANT_ID = /^[a-z0-9][a-z0-9._-]{0,62}$/;

function fits(text: string): boolean {
  return text.length <= MAX_BYTES && (text.length * 3 <= MAX_BYTES || Buffer.byteLength(text) <= MAX_BYTES);
}

export function isServerName(text: string): text is ServerName {
  return SERVER_NAME.test(text);
}

/** True for `@localpart:server`. The localpart may be empty: that is a pseudouser (MSC1777). */
export function isUserId(text: string): text is UserId {
  const colon = text.indexOf(":");
  return text.charCodeAt(0) === 0x40 && colon >= 1 && fits(text) && isServerName(text.slice(colon + 1));
}

/** True for `!opaque` and `!opaque:server`: IDs of room version 12 have no server (MSC4291). */
export function isRoomId(text: string): text is RoomId {
  return text.charCodeAt(0) === 0x21 && text.length > 1 && fits(text) && !text.includes("\0");
}

export function isRoomAlias(text: string): text is RoomAlias {
  const colon = text.indexOf(":");
  return text.charCodeAt(0) === 0x23 && colon >= 1 && fits(text) && isServerName(text.slice(colon + 1));
}

export function isEventId(text: string): text is EventId {
  return text.charCodeAt(0) === 0x24 && text.length > 1 && fits(text);
}

export function isTenantId(text: string): text is TenantId {
  return TENANT_ID.test(text);
}

/** Returns the server of a user or an alias: the text after the first colon. */
export function serverOf(id: UserId | RoomAlias): ServerName {
  return id.slice(id.indexOf(":") + 1) as ServerName;
}

/** Returns the creator's server; null if the ID has none, as from room version 12 on (MSC4291). */
export function serverInRoomId(roomId: RoomId): ServerName | null {
  const colon = roomId.indexOf(":");
  const server = roomId.slice(colon + 1);
  return colon > 0 && isServerName(server) ? server : null;
}

export function localpartOf(id: UserId): string {
  return id.slice(1, id.indexOf(":"));
}
