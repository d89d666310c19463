import { isUserId, type UserId } from "../../model/ids.ts";
import { type JsonObject, type JsonValue, objectAt, objectsOf, stringAt } from "../../model/json.ts";
import type { Subscription } from "./subscriptions.ts";

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
  if (!state.some(([type, key]) => key === "$LAZY" && (type === "*" || type === "m.room.member"))) return told;
  const changed = objectAt(told, "state");
  const before = objectsOf(changed["events"]);
  const timeline = objectsOf(objectAt(told, "timeline")["events"]);
  const known = new Set([...before, ...timeline].filter((event) => isMember(event)).map((event) => event["state_key"]));
  const unknown = new Set(
    timeline.flatMap(({ sender = null }) => (isUser(sender) && !known.has(sender) ? [sender] : [])),
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
  return stringAt(event, "type") === "m.room.member";
}

function isUser(value: JsonValue): value is UserId {
  return typeof value === "string" && isUserId(value);
}
