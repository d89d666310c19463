import { isUserId, type UserId } from "../../model/ids.ts";
import { objectAt, stringAt, type JsonObject, type JsonValue } from "../../model/json.ts";
import { objectsOf } from "./room.ts";
import type { Subscription } from "./subscriptions.ts";

/** Senders asked about at once; a timeline has no more than a subscription's limit. */
const AT_ONCE = 4;

/**
 * News of a room with the membership events of those who spoke, for clients that load members as they need them (`$LAZY`, MSC4186): they
 * would show the user's ID. Each is told again with whatever its sender says: whether an answer arrived is not known.
 * @param told the room as it stands in `/sync`
 * @param ask null for a member that is not to be had
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
