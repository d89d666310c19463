import { dress } from "../../../model/persona.ts";
import { EmissaryError } from "../../../model/errors.ts";
import { isUserId, type UserId } from "../../../model/ids.ts";
import { isJsonObject, stringAt, without, type JsonObject, type JsonValue } from "../../../model/json.ts";
import { CREATOR_LEVEL, levelsToSet, MAKER_LEVEL, PERSONA_LEVELS, POWER_LEVELS } from "../../../model/power-levels.ts";
import type { Caller } from "../caller.ts";

export interface Creation {
  readonly own: UserId;
  readonly caller: Caller;
  readonly isPersona: (userId: UserId) => boolean;
  /** From room version 12 on a creator's power is no number, and naming it in the power levels is an error (MSC4289). */
  readonly creatorHasLevel: boolean;
}

/**
 * The body of a tenant's `createRoom` as it goes to the homeserver. The room and its first state bear the tenant's mark. Its own
 * users are nobody there, so they are not invited, and what power they were to have the pseudouser has.
 * @throws EmissaryError `forbidden` for memberships among the first state
 */
export function creationOf(body: JsonObject, creation: Creation): JsonObject {
  const made: JsonObject = { ...body };
  const content = body["creation_content"];
  made["creation_content"] = marked(
    "m.room.create",
    creatorsOf(isJsonObject(content) ? content : {}, creation),
    creation,
  );
  if (Array.isArray(body["invite"])) made["invite"] = body["invite"].filter((user) => !isOurs(user, creation));
  const override = body["power_level_content_override"] ?? {};
  if (isJsonObject(override)) {
    const levels = overrideOf(override, body, creation);
    const isAsked = "power_level_content_override" in body;
    if (isAsked || Object.keys(levels).length > 0) made["power_level_content_override"] = levels;
  }
  if (Array.isArray(body["initial_state"])) {
    const makers = makersOf(body, creation);
    made["initial_state"] = body["initial_state"].map((event) => firstState(event, makers, creation));
  }
  return made;
}

/** Without the tenant's own users among those who shall have a creator's power (MSC4289). */
export function creatorsOf(content: JsonObject, creation: Pick<Creation, "isPersona">): JsonObject {
  const creators = content["additional_creators"];
  if (!Array.isArray(creators)) return content;
  return { ...content, additional_creators: creators.filter((user) => !isOurs(user, creation)) };
}

function firstState(event: JsonValue, makers: Makers, creation: Creation): JsonValue {
  if (!isJsonObject(event)) return event;
  const type = stringAt(event, "type") ?? "";
  if (type === "m.room.member") {
    throw new EmissaryError("forbidden", "Memberships are not set as a room's first state: use `invite` for them.");
  }
  const content = isJsonObject(event["content"] ?? null) ? (event["content"] as JsonObject) : {};
  const levels = type === POWER_LEVELS ? levelsOf(content, makers, creation) : content;
  return { ...event, content: marked(type, levels, creation) };
}

/** What the preset says stands where the tenant says nothing of users. */
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
  // No levels take a creator's power away.
  const asked = !creatorHasLevel && isJsonObject(users) ? { ...levels, users: { ...makers, ...users } } : levels;
  const current = { users: creatorHasLevel ? { [own]: MAKER_LEVEL } : {} };
  return levelsToSet(asked, current, { own, tenant: caller.tenant, isPersona, isCreator: !creatorHasLevel });
}

/** Whom a preset gives all that the room's maker has (spec, "createRoom"). */
const TRUSTING = "trusted_private_chat";

type Makers = Readonly<Record<string, number>>;

/**
 * The tenant's users with a maker's power, and what level that is. The sender has the pseudouser's, where that has one. Where makers have
 * none they are given one all the same, to the tenant: libraries that do not know such rooms look for nothing else.
 */
function makersOf(body: JsonObject, creation: Creation): Makers {
  const { caller, creatorHasLevel } = creation;
  const invited = body["preset"] === TRUSTING && Array.isArray(body["invite"]) ? body["invite"] : [];
  const makers = [...invited, caller.user, ...(creatorHasLevel ? [] : additionalIn(body))];
  const level = creatorHasLevel ? MAKER_LEVEL : CREATOR_LEVEL;
  const hasOwn = (user: JsonValue): boolean => creatorHasLevel && user === caller.tenant.sender;
  const given = makers.filter((user) => isOurs(user, creation) && !hasOwn(user)).map((user) => [user, level]);
  return Object.fromEntries(given) as Makers;
}

function additionalIn(body: JsonObject): readonly JsonValue[] {
  const content = body["creation_content"] ?? null;
  const creators = isJsonObject(content) ? (content["additional_creators"] ?? null) : null;
  return Array.isArray(creators) ? creators : [];
}

function isOurs(user: JsonValue, { isPersona }: Pick<Creation, "isPersona">): boolean {
  return typeof user === "string" && isUserId(user) && isPersona(user);
}

/** State shows no author, so it takes the marks only. */
function marked(type: string, content: JsonObject, { caller: { tenant, user } }: Creation): JsonObject {
  const profile = { displayname: null, avatarUrl: null };
  return dress(content, { type, tenant: tenant.id, user, isSender: user === tenant.sender, profile, fallback: false });
}
