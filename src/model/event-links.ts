import { stringAt, type JsonObject } from "./json.ts";

/** An event's place in its room's graph. */
export interface Link {
  readonly eventId: string;
  readonly depth: number;
  /** The events that it hangs on. */
  readonly prev: readonly string[];
}

/** How events hang together; null where the homeserver does not say it. */
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

/** The events that one hangs on; null where the homeserver does not say it. In the first two room versions each stands with its hash. */
export function previousOf(event: JsonObject): readonly string[] | null {
  const previous = event["prev_events"] ?? null;
  if (!Array.isArray(previous)) return null;
  return previous.map((one) => (Array.isArray(one) ? one[0] : one)).filter((id) => typeof id === "string");
}
