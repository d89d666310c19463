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
    const prev = event["prev_events"];
    const eventId = stringAt(event, "event_id");
    if (!Array.isArray(prev) || eventId === null) return null;
    const depth = typeof event["depth"] === "number" ? event["depth"] : 0;
    links.push({ eventId, depth, prev: prev.map((entry) => idOf(entry)).filter((id) => id !== null) });
  }
  return links;
}

/** In the oldest rooms an event names others with their hashes. */
function idOf(entry: unknown): string | null {
  const id: unknown = Array.isArray(entry) ? entry[0] : entry;
  return typeof id === "string" ? id : null;
}
