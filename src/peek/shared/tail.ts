import type { RoomId } from "../../model/ids.ts";
import { remember } from "../../concurrency/remember.ts";
import { isJsonObject, stringAt, type JsonObject } from "../../model/json.ts";
import type { EventsPage } from "../homeserver/peeked-rooms.ts";
import type { StrangersPage } from "../homeserver/reader.ts";

/** Page size, which a tail never reaches: an answer from it is never a full page. */
export const PAGE = 100;
/** Longest time for which an erased user's messages are still sent, in milliseconds. Redactions act at once. */
const KEPT_MS = 60_000;
const SEEN = 200;

interface Held extends StrangersPage {
  readonly at: number;
}

/**
 * A room's newest consecutive pages, as the reader saw them. A caller at the start of a page gets everything after
 * it. The homeserver's positions have no known order: two are equal if the same event is the last before them.
 */
export class RoomTail {
  readonly #roomId: RoomId;
  /** Oldest first. */
  #pages: Held[] = [];
  /** The last answer. Most callers are at the same place and get the same object. */
  #given: EventsPage | null = null;
  /** The position of its end, and the last event before it; null if unknown. Only the tail sets them. */
  end: string | null = null;
  last: string | null = null;
  readonly #seen = new Map<string, true>();

  constructor(roomId: RoomId) {
    this.#roomId = roomId;
  }

  get bytes(): number {
    return this.#pages.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  hasSeen(eventId: string): boolean {
    return this.#seen.has(eventId);
  }

  /** Whether everything after a position is held. */
  has(from: string, now: number): boolean {
    this.#age(now);
    return from === this.end || this.#pages.some(({ start }) => start === from);
  }

  /** Returns the events after a position; null if some are not held. */
  after(from: string, now: number): EventsPage | null {
    this.#age(now);
    if (this.end === null) return null;
    if (from === this.end) return { chunk: [], start: from, end: from };
    if (this.#given?.start === from) return this.#given;
    const at = this.#pages.findIndex(({ start }) => start === from);
    if (at === -1) return null;
    this.#given = { chunk: this.#pages.slice(at).flatMap(({ chunk }) => chunk), start: from, end: this.end };
    return this.#given;
  }

  /**
   * Appends a page read from the end, or from anywhere if the tail is empty. A full page may omit later events, so it
   * empties the tail. Ignores a page that does not follow: another read was faster.
   */
  append(page: StrangersPage, now: number): void {
    if (this.end !== null && page.start !== this.end) return;
    this.#given = null;
    const events = eventsOf(page, this.#roomId);
    for (const event of events) remember(this.#seen, stringAt(event, "event_id") ?? "", true, SEEN);
    if (page.chunk.length >= PAGE) {
      this.clear();
      return;
    }
    // The redaction may concern held events.
    if (events.some(({ type }) => type === "m.room.redaction")) this.drop();
    this.last = stringAt(events.at(-1) ?? {}, "event_id") ?? this.last;
    if (this.end !== null && page.end !== this.end) this.#pages.push({ ...page, at: now });
    this.end = page.end;
    while (this.#pages.reduce((sum, { chunk }) => sum + chunk.length, 0) >= PAGE) this.#pages.shift();
  }

  /** Forgets the pages but not the end. */
  drop(): void {
    this.#given = null;
    this.#pages = [];
  }

  clear(): void {
    this.#seen.clear();
    this.drop();
    this.end = null;
    this.last = null;
  }

  #age(now: number): void {
    for (let [oldest] = this.#pages; oldest !== undefined && now - oldest.at >= KEPT_MS; [oldest] = this.#pages) {
      this.#pages.shift();
      this.#given = null;
    }
  }
}

/** Returns the room's events on a page, without ephemeral ones. */
export function eventsOf({ chunk }: EventsPage, roomId: RoomId): JsonObject[] {
  return chunk.filter((entry) => stringAt(entry, "event_id") !== null && entry["room_id"] === roomId);
}

/**
 * Whether any stranger would be shown this page. False if the reader was more than a stranger at an event (MSC4115),
 * as after an invite, or if the page changes who sees the room.
 */
export function isForStrangers(page: EventsPage): boolean {
  return page.chunk.every(({ type, unsigned }) => {
    const membership = isJsonObject(unsigned) ? (unsigned["membership"] ?? "leave") : "leave";
    return membership === "leave" && type !== "m.room.history_visibility";
  });
}
