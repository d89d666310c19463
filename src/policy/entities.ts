import { isRoomAlias, isRoomId, isServerName, isTenantId, isUserId } from "../model/ids.ts";
import { MAX_GLOB } from "./glob.ts";
import type { EntityKind } from "./rule.ts";

interface Shape {
  /** The form that a text with wildcards must have to match an entity of this kind. */
  readonly glob: RegExp;
  readonly isOne: (text: string) => boolean;
  /** Follows "…: ". */
  readonly expected: string;
}

const SHAPES: Readonly<Record<EntityKind, Shape>> = {
  room: {
    glob: /^[!#*?]/,
    isOne: (text) => isRoomId(text) || isRoomAlias(text),
    expected: "a room is an ID (!…) or an alias (#name:server), and a glob begins with one of these or a wildcard",
  },
  server: {
    glob: /^[A-Za-z0-9.:[\]*?-]+$/,
    isOne: isServerName,
    expected: "a server is a name as in user IDs, such as example.org or *.example.org",
  },
  user: {
    glob: /^[@*?]/,
    isOne: isUserId,
    expected: "a user is an ID (@name:server), and a glob begins with @ or a wildcard",
  },
  tenant: {
    glob: /^[a-z0-9._*?-]+$/,
    isOne: isTenantId,
    expected: "a tenant is an ID of lower-case letters, digits, -, _ and ., with or without wildcards",
  },
};

/** Returns why a glob can match no entity of its kind, as a clause; null if it can. */
export function faultInEntity(kind: EntityKind, entity: string): string | null {
  if (entity === "") return "an empty text matches nothing";
  if (entity.length > MAX_GLOB) return `${entity.slice(0, 20)}… is longer than ${MAX_GLOB} characters`;
  if (/\p{Cc}/u.test(entity)) return `a ${kind} has no control characters`;
  const { glob, isOne, expected } = SHAPES[kind];
  const fits = /[*?]/.test(entity) ? glob.test(entity) : isOne(entity);
  return fits ? null : `${JSON.stringify(entity)} matches no ${kind}: ${expected}`;
}
