import { isUserId, type UserId } from "./ids.ts";
import { isJsonObject, objectAt, without, type JsonObject, type JsonValue } from "./json.ts";
import type { Tenant } from "./tenant.ts";

export const POWER_LEVELS = "m.room.power_levels";

/**
 * The levels that tenants gave their own users, by tenant, inside the power levels' content: so the room tells them
 * (see attribution.ts). Homeservers ignore the key; in `users` they would have power for anybody who could act as
 * them.
 */
export const PERSONA_LEVELS = "org.matrix.msc1777.persona_levels";

/** The creator's level (spec, "createRoom"), in room versions where it has one. */
export const MAKER_LEVEL = 100;

/** The level that a creator without one can match: the highest default of such a room, for a tombstone (MSC4289). */
export const CREATOR_LEVEL = 150;

/** The tenant that sees and writes power levels. */
export interface LevelsViewer {
  readonly own: UserId;
  readonly tenant: Pick<Tenant, "id" | "sender">;
  /** Whether the tenant may act as the user. */
  readonly isPersona: (userId: UserId) => boolean;
}

export interface LevelsWriter extends LevelsViewer {
  /** The pseudouser has a creator's power (MSC4289): it is unlimited, and naming the user in `users` is an error. */
  readonly isCreator: boolean;
}

/** Room versions in which creators have unlimited power and no level (MSC4289). */
export function hasCreatorPower(version: string): boolean {
  return (
    version === "org.matrix.hydra.11" ||
    version === "org.matrix.msc1777.12" ||
    (/^\d+$/.test(version) && Number(version) >= 12)
  );
}

/** Returns whether `m.room.create` makes a user a creator, in a version where that is power. */
export function isCreatorIn(create: JsonObject, userId: UserId): boolean {
  const content = create["content"];
  if (!isJsonObject(content)) return false;
  const version = content["room_version"];
  const creators = content["additional_creators"];
  if (typeof version !== "string" || !hasCreatorPower(version)) return false;
  return create["sender"] === userId || (Array.isArray(creators) && creators.includes(userId));
}

/**
 * Returns power levels as a tenant sees them. Libraries compare levels themselves, so the tenant's users are listed as
 * on a homeserver where they are real. Its sender replaces the pseudouser, at its level; each other user has the level
 * that the tenant gave it, at most the pseudouser's. All of the tenant's users see the same, at any time, whoever is
 * in the room: libraries keep what they are sent. Whether a tenant may use the power is decided in policy/permit.ts.
 */
export function levelsSeen(content: JsonObject, viewer: LevelsViewer): JsonObject {
  const { own, tenant } = viewer;
  const users = content["users"] ?? {};
  const bare = PERSONA_LEVELS in content ? without(content, PERSONA_LEVELS) : content;
  if (!isJsonObject(users)) return bare;
  const level = users[own];
  const given = Object.entries(givenIn(content, viewer)).map(([user, one]) => [user, atMost(one, level)] as const);
  if (level === undefined && given.length === 0) return bare;
  const sender = level === undefined ? {} : { [tenant.sender]: level };
  return { ...bare, users: { ...without(users, own), ...Object.fromEntries(given), ...sender } };
}

/**
 * Returns the power levels to set for those that a tenant writes: the inverse of `levelsSeen`. What it did not change
 * stays. Its users do not get into `users`. The pseudouser gets the sender's new level, or a persona's if higher. If
 * the tenant does not mention it, it keeps its level, which all other tenants need.
 * @param current the room's power levels, or what they would be without any
 */
export function levelsToSet(written: JsonObject, current: JsonObject, writer: LevelsWriter): JsonObject {
  const rest = without(written, PERSONA_LEVELS);
  const asked = written["users"] ?? {};
  // The homeserver refuses it.
  if (!isJsonObject(asked)) return { ...rest, ...keyWith(current, null, writer) };
  const had = objectAt(current, "users");
  const seen = objectAt(levelsSeen(current, writer), "users");
  const ours = Object.entries(asked).filter(([user]) => isOurs(user, writer));
  const others = Object.entries(asked).filter(([user]) => user !== writer.own && !isOurs(user, writer));
  // Somebody else named these users there; it gives them nothing.
  const kept = ours.flatMap(([user]): [string, JsonValue][] => (user in had ? [[user, had[user] ?? null]] : []));
  const own = ownLevel({ asked, ours, seen, had, default: [rest, current] }, writer);
  const users = Object.fromEntries([...others, ...kept, ...(own === undefined ? [] : [[writer.own, own] as const])]);
  const isEmpty = Object.keys(users).length === 0 && !isJsonObject(current["users"]);
  const given = givenBy(ours, seen, current, writer);
  return {
    ...(isEmpty ? without(rest, "users") : { ...rest, users }),
    ...keyWith(current, given, writer),
  };
}

interface Asked {
  readonly asked: JsonObject;
  readonly ours: readonly (readonly [string, JsonValue])[];
  readonly seen: JsonObject;
  readonly had: JsonObject;
  /** The contents with `users_default`: the new one and the previous one. */
  readonly default: readonly [JsonObject, JsonObject];
}

function ownLevel(
  { asked, ours, seen, had, default: [after, before] }: Asked,
  { own, tenant: { sender }, isCreator }: LevelsWriter,
): JsonValue | undefined {
  if (isCreator) return undefined;
  const isChanged = (user: string): boolean => asked[user] !== seen[user];
  const explicit = asked[own] ?? (sender in asked && isChanged(sender) ? asked[sender] : undefined);
  const isLowered = numberOf(before["users_default"]) > numberOf(after["users_default"]);
  const base = explicit ?? had[own] ?? (isLowered ? before["users_default"] : undefined);
  if (!ours.some(([user]) => isChanged(user))) return base;
  const personas = ours.filter(([user]) => user !== sender && (isChanged(user) || !(user in had)));
  const most = Math.max(...personas.map(([, level]) => (isLevel(level) ? level : -Infinity)));
  return most > numberOf(base ?? after["users_default"]) ? most : base;
}

/** Returns the levels of the tenant's users after these changes. The sender has the pseudouser's, if that has one. */
function givenBy(
  ours: Asked["ours"],
  seen: JsonObject,
  current: JsonObject,
  writer: LevelsWriter,
): Readonly<Record<string, number>> {
  const before = givenIn(current, writer);
  return Object.fromEntries(
    ours
      .filter(([user]) => writer.isCreator || user !== writer.tenant.sender)
      .map(([user, level]) => [user, level === seen[user] ? before[user] : level] as const)
      .filter((one): one is [string, number] => isLevel(one[1])),
  );
}

/** Returns the key with this tenant's part replaced, or unchanged if `given` is null. */
function keyWith(
  current: JsonObject,
  given: Readonly<Record<string, number>> | null,
  { tenant }: LevelsWriter,
): JsonObject {
  const others = without(objectAt(current, PERSONA_LEVELS), ...(given === null ? [] : [tenant.id]));
  const all = given === null || Object.keys(given).length === 0 ? others : { ...others, [tenant.id]: { ...given } };
  return Object.keys(all).length === 0 ? {} : { [PERSONA_LEVELS]: all };
}

/** Anybody with enough power can write the key, so it says something about the tenant's own users only. */
function givenIn(content: JsonObject, viewer: LevelsViewer): Readonly<Record<string, number>> {
  const given = Object.entries(objectAt(objectAt(content, PERSONA_LEVELS), viewer.tenant.id));
  return Object.fromEntries(given.filter((one): one is [string, number] => isLevel(one[1]) && isOurs(one[0], viewer)));
}

function isOurs(user: string, { own, isPersona }: LevelsViewer): boolean {
  return user !== own && isUserId(user) && isPersona(user);
}

function atMost(level: number, most: JsonValue | undefined): number {
  return most === undefined ? level : Math.min(level, numberOf(most));
}

function isLevel(value: JsonValue | undefined): value is number {
  return Number.isSafeInteger(value);
}

/** Before room version 10 a level may be a string. */
function numberOf(level: JsonValue | undefined): number {
  const number = typeof level === "string" ? Number.parseInt(level, 10) : level;
  return isLevel(number) ? number : 0;
}
