import { stringAt, type JsonObject } from "./json.ts";

export interface Link {
  readonly eventId: string;
  readonly depth: number;
  /** The event's `prev_events`. */
  readonly prev: readonly string[];
}

/** Returns how events are linked; null if the homeserver does not say. */
export function linksOf(events: readonly JsonObject[]): readonly Link[] | null {
  const links: Link[] = [];
  for (const event of events) {
    const prev = previousOf(event);
    const eventId = stringAt(event, "event_id");
    if (prev === null || eventId === null) return null;
    const depth = typeof event["depth"] === "number" ? event["depth"] : 0;
    links.push({ eventId, depth, prev });
  }
  return links;
}

/** Returns an event's `prev_events`; null if the homeserver does not say. Room versions 1 and 2 add a hash to each. */
export function previousOf(event: JsonObject): readonly string[] | null {
  const previous = event["prev_events"] ?? null;
  if (!Array.isArray(previous)) return null;
  return previous.map((one) => (Array.isArray(one) ? one[0] : one)).filter((id) => typeof id === "string");
}
