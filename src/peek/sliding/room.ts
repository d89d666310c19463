import { hash } from "node:crypto";
import { isUserId, type RoomId, type UserId } from "../../model/ids.ts";
import { type JsonObject, type JsonValue, objectAt, objectsOf, stringAt } from "../../model/json.ts";
import { newestOfEach } from "../msc2753/room.ts";
import type { Subscription } from "./subscriptions.ts";

const MEMBER = "m.room.member";
const HEROES = 5;

export interface Looking {
  readonly roomId: RoomId;
  readonly userId: UserId;
}

/**
 * Converts a peeked room for an answer to sliding sync.
 * @param told the room in the form of `/sync`
 * @param isInitial whether it replaces everything that the client has of the room
 */
export function slidingRoom(
  told: JsonObject,
  subscription: Subscription,
  looking: Looking,
  isInitial: boolean,
): JsonObject {
  const { userId } = looking;
  const timeline = objectAt(told, "timeline");
  const events = objectsOf(timeline["events"]);
  const state = newestOfEach([...objectsOf(objectAt(told, "state")["events"]), ...events]);
  const shown = [...state.values(), ...(state.has(`${MEMBER}\n${userId}`) ? [] : [outside(looking)])];
  const wants = wanted(subscription, events, userId);
  const { limited = false, prev_batch } = timeline;
  return {
    ...summaryOf(state, isInitial, userId),
    ...(isInitial ? { initial: true } : {}),
    required_state: shown.filter((event) => wants(event)),
    timeline: events,
    limited,
    ...(prev_batch === undefined ? {} : { prev_batch }),
    num_live: isInitial ? 0 : events.length,
    notification_count: 0,
    highlight_count: 0,
  };
}

/**
 * Returns an invented event by which the user is not in the room. Sliding sync has no other way to say so. Without it
 * in every answer, not only the first, the Rust SDK takes the user for a member and offers to write, not to join.
 */
function outside({ roomId, userId }: Looking): JsonObject {
  return {
    type: MEMBER,
    state_key: userId,
    sender: userId,
    event_id: `$emissary_outside_${hash("sha256", `${roomId}\n${userId}`, "base64url")}`,
    origin_server_ts: 0,
    content: { membership: "leave" },
  };
}

type State = ReadonlyMap<string, JsonObject>;

/** Returns name and picture if the state has them, and member counts if the state is whole. */
function summaryOf(state: State, isWhole: boolean, userId: UserId): JsonObject {
  const name = textOf(state, "m.room.name", "name");
  const avatar = textOf(state, "m.room.avatar", "url");
  const named = { ...(name === null ? {} : { name }), ...(avatar === null ? {} : { avatar }) };
  if (!isWhole) return named;
  const members = [...state.values()].filter((event) => event["type"] === MEMBER);
  const of = (membership: string): JsonObject[] =>
    members.filter((event) => objectAt(event, "content")["membership"] === membership);
  const joined = of("join");
  const counts = { joined_count: joined.length, invited_count: of("invite").length };
  return name === null ? { ...named, heroes: heroesOf(joined, userId), ...counts } : { ...named, ...counts };
}

function textOf(state: State, type: string, key: string): string | null {
  const event = state.get(`${type}\n`);
  const text = event === undefined ? null : stringAt(objectAt(event, "content"), key);
  return text === "" ? null : text;
}

function heroesOf(joined: readonly JsonObject[], userId: UserId): JsonValue {
  const others = joined.filter((event) => event["state_key"] !== userId);
  return others.slice(0, HEROES).map((event) => {
    const { displayname, avatar_url } = objectAt(event, "content");
    return {
      user_id: event["state_key"] ?? null,
      ...(typeof displayname === "string" ? { displayname } : {}),
      ...(typeof avatar_url === "string" ? { avatar_url } : {}),
    };
  });
}

/** `$LAZY` stands for the senders, `$ME` for the user (MSC4186). */
function wanted(
  { state }: Subscription,
  events: readonly JsonObject[],
  userId: UserId,
): (event: JsonObject) => boolean {
  const senders = new Set(events.map((event) => event["sender"]));
  return (event) => {
    const stateKey = event["state_key"] ?? null;
    return state.some(([type, key]) => {
      if (type !== "*" && type !== event["type"]) return false;
      if (key === "$LAZY") return senders.has(stateKey);
      return key === "*" || stateKey === (key === "$ME" ? userId : key);
    });
  };
}

/** Members requested at once. The timeline's limit bounds their number. */
const AT_ONCE = 4;

/**
 * Adds the senders' membership events to news of a room, for clients that load members lazily (`$LAZY`, MSC4186) and
 * would otherwise show user IDs. Repeats a membership with each answer: whether an answer arrived is unknown.
 * @param told the room in the form of `/sync`
 * @param ask returns null for a member that is not available
 */
export async function withSpeakers(
  told: JsonObject,
  { state }: Subscription,
  ask: (userId: UserId) => Promise<JsonObject | null>,
): Promise<JsonObject> {
  if (!state.some(([type, key]) => key === "$LAZY" && (type === "*" || type === MEMBER))) return told;
  const changed = objectAt(told, "state");
  const before = objectsOf(changed["events"]);
  const timeline = objectsOf(objectAt(told, "timeline")["events"]);
  const known = new Set([...before, ...timeline].filter((event) => isMember(event)).map((event) => event["state_key"]));
  const unknown = new Set(
    timeline.flatMap(({ sender }) =>
      typeof sender === "string" && isUserId(sender) && !known.has(sender) ? [sender] : [],
    ),
  );
  const left = [...unknown];
  const found: JsonObject[] = [];
  const next = async (): Promise<void> => {
    for (let user = left.shift(); user !== undefined; user = left.shift()) {
      const member = await ask(user);
      if (member !== null && isMember(member) && member["state_key"] === user) found.push(member);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, left.length) }, next));
  return found.length === 0 ? told : { ...told, state: { ...changed, events: [...before, ...found] } };
}

function isMember(event: JsonObject): boolean {
  return event["type"] === MEMBER;
}
