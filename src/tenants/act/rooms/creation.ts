import { EmissaryError } from "../../../model/errors.ts";
import { isUserId, type RoomAlias, type UserId } from "../../../model/ids.ts";
import {
  isJsonObject,
  objectAt,
  only,
  stringAt,
  without,
  type JsonObject,
  type JsonValue,
} from "../../../model/json.ts";
import { revisionOf, sourcedParts } from "../../../model/json-text.ts";
import { CREATOR_LEVEL, levelsToSet, MAKER_LEVEL, PERSONA_LEVELS, POWER_LEVELS } from "../../../model/power-levels.ts";
import { nobody } from "../access.ts";
import type { Caller } from "../act.ts";
import { costumeOf, outgoing, type Way } from "../outgoing.ts";

export interface Creation {
  readonly own: UserId;
  readonly caller: Caller;
  readonly isPersona: (userId: UserId) => boolean;
  /** Whether a user is another tenant's: this tenant and the homeserver do not know it. */
  readonly isHidden: (userId: UserId) => boolean;
  /** From room version 12 on, creators have no numeric power level and may not be in the power levels (MSC4289). */
  readonly creatorHasLevel: boolean;
  /** From `room_alias_name`; null for none or an invalid one. */
  readonly alias: RoomAlias | null;
}

/** The body's scalar parameters. Keys that are neither here nor written anew by `creationOf` are dropped. */
const WORDS = ["visibility", "room_alias_name", "name", "topic", "room_version", "preset", "is_direct"] as const;

/**
 * Builds the body of a tenant's `createRoom` from known keys only. The room and its first state bear the tenant's
 * mark: Emissary also writes the state that the homeserver would derive unmarked. The tenant's own users do not exist
 * there, so they are not invited, and the pseudouser gets the power intended for them.
 * @throws EmissaryError `forbidden` for what no tenant may do with a room, `bad-request` for what cannot be read
 */
export function creationOf(body: JsonObject, creation: Creation): JsonObject {
  refuseAddresses(body["invite_3pid"]);
  const words = Object.entries(only(body, ...WORDS)).filter(([, value]) => value !== null);
  for (const [key, value] of words) {
    // Synapse copies some of these into events unchecked.
    if (typeof value !== "string" && typeof value !== "boolean") throw misshapen(key, "a text, or true or false");
  }
  const made: JsonObject = Object.fromEntries(words);
  const content = objectIn(body, "creation_content") ?? {};
  made["creation_content"] = sent("creation", "m.room.create", creatorsOf(content, creation), creation);
  const invite = listIn(body, "invite");
  if (invite !== null) made["invite"] = invite.filter((user) => isInvited(user, creation));
  const asked = objectIn(body, "power_level_content_override");
  const levels = (override: JsonObject): JsonObject => overrideOf(override, body, creation);
  if (asked !== null || Object.keys(levels({})).length > 0) {
    made["power_level_content_override"] = sent("first-state", POWER_LEVELS, asked ?? {}, creation, levels);
  }
  made["initial_state"] = firstStates(body, creation);
  // These are only state of the room.
  const stated = ["name", "topic"].filter((key) => typeof made[key] === "string");
  return revisionOf(body, without(made, ...stated), "all");
}

/** Builds the body of a tenant's `upgrade` in the same way. */
export function upgradeOf(body: JsonObject, creation: Pick<Creation, "isPersona" | "isHidden">): JsonObject {
  return revisionOf(body, creatorsOf(only(body, "new_version", "additional_creators"), creation), "all");
}

/** The homeserver would call the identity server that the caller names (spec, "createRoom", `id_server`). */
function refuseAddresses(invites: JsonValue | undefined): void {
  if (invites === undefined || invites === null || (Array.isArray(invites) && invites.length === 0)) return;
  throw new EmissaryError(
    "forbidden",
    "Tenants cannot use invite_3pid: it makes the homeserver call a server that the caller chooses. Invite users by their ID.",
  );
}

/** Removes the tenant's own users from the additional creators (MSC4289). */
function creatorsOf(content: JsonObject, creation: Pick<Creation, "isPersona" | "isHidden">): JsonObject {
  const creators = listIn(content, "additional_creators");
  if (creators === null) return content;
  return { ...content, additional_creators: creators.filter((user) => isInvited(user, creation)) };
}

/**
 * Whether the homeserver knows the user.
 * @throws EmissaryError `forbidden` for another tenant's user, `bad-request` if it is no user ID
 */
function isInvited(user: JsonValue, creation: Pick<Creation, "isPersona" | "isHidden">): boolean {
  if (typeof user !== "string" || !isUserId(user)) {
    throw new EmissaryError("bad-request", `${JSON.stringify(user)} is not a user ID.`);
  }
  if (isOurs(user, creation)) return false;
  if (creation.isHidden(user)) throw nobody(user);
  return true;
}

function firstStates(body: JsonObject, creation: Creation): JsonValue[] {
  sourcedParts(body, "initial_state");
  const makers = makersOf(body, creation);
  const asked = (listIn(body, "initial_state") ?? []).map((event) => firstState(event, makers, creation));
  const { before, after } = usualState(body, creation.alias);
  const usual = ({ type, content }: FirstState): JsonObject => {
    return { type, state_key: "", content: sent("first-state", type, content, creation) };
  };
  const has = (type: string): boolean => asked.some((event) => event["type"] === type && event["state_key"] === "");
  return [...before.filter(({ type }) => !has(type)).map(usual), ...asked, ...after.map(usual)];
}

function firstState(event: JsonValue, makers: Makers, creation: Creation): JsonObject {
  if (!isJsonObject(event)) throw misshapen("initial_state", "a list of events");
  const type = stringAt(event, "type");
  const stateKey = event["state_key"] ?? "";
  const content = objectIn(event, "content") ?? {};
  if (type === null || typeof stateKey !== "string") throw misshapen("initial_state", "events with types and keys");
  const levels = (asked: JsonObject): JsonObject => levelsOf(asked, makers, creation);
  const hook = type === POWER_LEVELS ? levels : undefined;
  const state = { type, state_key: stateKey, content: sent("first-state", type, content, creation, hook) };
  return revisionOf(event, state, "all");
}

function objectIn(body: JsonObject, key: string): JsonObject | null {
  const value = Object.hasOwn(body, key) ? (body[key] ?? null) : null;
  if (value === null || isJsonObject(value)) return value;
  throw misshapen(key, "an object");
}

/** Synapse would read an object as the list of its keys. */
function listIn(body: JsonObject, key: string): readonly JsonValue[] | null {
  const value = Object.hasOwn(body, key) ? (body[key] ?? null) : null;
  if (value === null || Array.isArray(value)) return value;
  throw misshapen(key, "a list");
}

function misshapen(key: string, shape: string): EmissaryError {
  return new EmissaryError("bad-request", `${key} must be ${shape}.`);
}

/** Adds the power that the preset gives, unless the tenant lists users itself. */
function overrideOf(override: JsonObject, body: JsonObject, creation: Creation): JsonObject {
  const makers = makersOf(body, creation);
  if ("users" in override) return levelsOf(override, makers, creation);
  const rest = without(override, PERSONA_LEVELS);
  if (Object.keys(makers).length === 0) return rest;
  return { ...rest, [PERSONA_LEVELS]: { [creation.caller.tenant.id]: { ...makers } } };
}

function levelsOf(levels: JsonObject, makers: Makers, creation: Creation): JsonObject {
  const { own, caller, isPersona, creatorHasLevel } = creation;
  const users = levels["users"] ?? {};
  // Power levels cannot take a creator's power away.
  const asked = !creatorHasLevel && isJsonObject(users) ? { ...levels, users: { ...makers, ...users } } : levels;
  const current = { users: creatorHasLevel ? { [own]: MAKER_LEVEL } : {} };
  return levelsToSet(asked, current, { own, tenant: caller.tenant, isPersona, isCreator: !creatorHasLevel });
}

type Makers = Readonly<Record<string, number>>;

/**
 * Returns the tenant's users with a creator's power, and their level. The sender has the pseudouser's, if there is
 * one. `trusted_private_chat` gives invited users the power, too (spec, "createRoom"). If creators have no level, the
 * tenant still sees one: libraries that do not know such rooms look for it.
 */
function makersOf(body: JsonObject, creation: Creation): Makers {
  const { caller, creatorHasLevel } = creation;
  const invited = body["preset"] === "trusted_private_chat" ? body["invite"] : [];
  const additional = creatorHasLevel ? [] : objectAt(body, "creation_content")["additional_creators"];
  const makers = [invited, caller.user, additional].flatMap((one) => one ?? []);
  const level = creatorHasLevel ? MAKER_LEVEL : CREATOR_LEVEL;
  const hasOwn = (user: JsonValue): boolean => creatorHasLevel && user === caller.tenant.sender;
  const given = makers.filter((user) => isOurs(user, creation) && !hasOwn(user)).map((user) => [user, level]);
  return Object.fromEntries(given) as Makers;
}

function isOurs(user: JsonValue, { isPersona }: Pick<Creation, "isPersona">): boolean {
  return typeof user === "string" && isUserId(user) && isPersona(user);
}

/** State shows no author, so it gets the marks only. */
function sent(
  way: Way,
  type: string,
  content: JsonObject,
  { caller, isPersona }: Creation,
  levels?: (content: JsonObject) => JsonObject,
): JsonObject {
  const costume = costumeOf(caller, type, isPersona);
  return outgoing(way, content, levels === undefined ? costume : { ...costume, levels }).content;
}

/** A state event of a new room, with an empty key. */
interface FirstState {
  readonly type: string;
  readonly content: JsonObject;
}

/** Spec, "createRoom", `preset`. If guests may not join, there is no event. */
const PRESETS: Readonly<Record<string, readonly FirstState[]>> = {
  private_chat: presetOf("invite", "can_join"),
  trusted_private_chat: presetOf("invite", "can_join"),
  public_chat: presetOf("public", null),
};

/**
 * Returns the state that a homeserver derives from a `createRoom` body, before and after `initial_state`. The latter's
 * events replace those before it of the same type; name and topic follow it.
 */
function usualState(body: JsonObject, alias: RoomAlias | null): Record<"before" | "after", readonly FirstState[]> {
  const visible = stringAt(body, "visibility") === "public" ? "public_chat" : "private_chat";
  const preset = stringAt(body, "preset") ?? visible;
  const before = Object.hasOwn(PRESETS, preset) ? (PRESETS[preset] ?? []) : [];
  const [name, topic] = [stringAt(body, "name"), stringAt(body, "topic")];
  const after: FirstState[] = [];
  if (name !== null) after.push({ type: "m.room.name", content: { name } });
  // As plain text (spec, "createRoom", `topic`).
  const text = { "m.text": [{ body: topic }] };
  if (topic !== null) after.push({ type: "m.room.topic", content: { topic, "m.topic": text } });
  return {
    before: alias === null ? before : [{ type: "m.room.canonical_alias", content: { alias } }, ...before],
    after,
  };
}

function presetOf(joinRule: string, guests: string | null): readonly FirstState[] {
  return [
    { type: "m.room.join_rules", content: { join_rule: joinRule } },
    { type: "m.room.history_visibility", content: { history_visibility: "shared" } },
    ...(guests === null ? [] : [{ type: "m.room.guest_access", content: { guest_access: guests } }]),
  ];
}
