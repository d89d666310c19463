import { dress } from "../../model/persona.ts";
import { EmissaryError } from "../../model/errors.ts";
import { isUserId, type UserId } from "../../model/ids.ts";
import { isJsonObject, stringAt, type JsonObject, type JsonValue } from "../../model/json.ts";
import type { Caller } from "./caller.ts";

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
  const levels = body["power_level_content_override"];
  if (isJsonObject(levels)) made["power_level_content_override"] = levelsOf(levels, creation);
  if (Array.isArray(body["initial_state"])) {
    made["initial_state"] = body["initial_state"].map((event) => firstState(event, creation));
  }
  return made;
}

/** Whether a body names users of the tenant's in power levels: only then it matters how the room's version treats creators. */
export function namesOwnPower(body: JsonObject, isPersona: Creation["isPersona"]): boolean {
  const state = Array.isArray(body["initial_state"]) ? body["initial_state"] : [];
  const contents = state.map((event) => (isJsonObject(event) ? (event["content"] ?? null) : null));
  return [body["power_level_content_override"] ?? null, ...contents].some((content) => {
    const users = isJsonObject(content) ? (content["users"] ?? null) : null;
    return isJsonObject(users) && Object.keys(users).some((user) => isOurs(user, { isPersona }));
  });
}

/** Room versions in which creators have unlimited power, and no level. */
export function hasCreatorPower(version: string): boolean {
  return version === "org.matrix.hydra.11" || (/^\d+$/.test(version) && Number(version) >= 12);
}

/** Without the tenant's own users among those who shall have a creator's power (MSC4289). */
export function creatorsOf(content: JsonObject, creation: Pick<Creation, "isPersona">): JsonObject {
  const creators = content["additional_creators"];
  if (!Array.isArray(creators)) return content;
  return { ...content, additional_creators: creators.filter((user) => !isOurs(user, creation)) };
}

function firstState(event: JsonValue, creation: Creation): JsonValue {
  if (!isJsonObject(event)) return event;
  const type = stringAt(event, "type") ?? "";
  if (type === "m.room.member") {
    throw new EmissaryError("forbidden", "Memberships are not set as a room's first state: use `invite` for them.");
  }
  const content = isJsonObject(event["content"] ?? null) ? (event["content"] as JsonObject) : {};
  const levels = type === "m.room.power_levels" ? levelsOf(content, creation) : content;
  return { ...event, content: marked(type, levels, creation) };
}

/** The pseudouser has the most that any of the tenant's users was to have. */
function levelsOf(levels: JsonObject, creation: Creation): JsonObject {
  const users = levels["users"] ?? null;
  if (!isJsonObject(users)) return levels;
  const others = Object.entries(users).filter(([user]) => !isOurs(user, creation));
  const ours = Object.entries(users).filter(([user]) => isOurs(user, creation));
  if (ours.length === 0) return levels;
  const numbers = ours.map(([, level]) => level).filter((level) => typeof level === "number");
  const own: [string, JsonValue][] = numbers.length > 0 ? [[creation.own, Math.max(...numbers)]] : [];
  return { ...levels, users: Object.fromEntries([...others, ...(creation.creatorHasLevel ? own : [])]) };
}

function isOurs(user: JsonValue, { isPersona }: Pick<Creation, "isPersona">): boolean {
  return typeof user === "string" && isUserId(user) && isPersona(user);
}

/** State shows no author, so it takes the marks only. */
function marked(type: string, content: JsonObject, { caller: { tenant, user } }: Creation): JsonObject {
  const profile = { displayname: null, avatarUrl: null };
  return dress(content, { type, tenant: tenant.id, user, isSender: user === tenant.sender, profile, fallback: false });
}
