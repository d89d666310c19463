import type { RoomId } from "../../model/ids.ts";
import { isJsonObject, stringAt, type JsonObject } from "../../model/json.ts";
import type { EventsPage } from "../msc2753/contracts.ts";
import type { StrangersPage } from "./contracts.ts";

/** Events of a page that is read, and more than a tail ever holds: so an answer from it is never a full page. */
export const PAGE = 100;
/** What a user who erased all of theirs had said is not told for longer, milliseconds. A redaction is heeded at once. */
const KEPT_MS = 60_000;
const SEEN = 200;

interface Held extends StrangersPage {
  readonly at: number;
}

/**
 * The newest pages of a room, one after the other, as the homeserver showed them to the reader. Whoever stands where one of them begins is
 * told all that follows. The homeserver's positions have no order that we know: two are the same place in the room where the same event
 * is the last before them.
 */
export class RoomTail {
  readonly #roomId: RoomId;
  /** The oldest first. */
  #pages: Held[] = [];
  /** What was given out last: all who stand where most do are given the same. */
  #given: EventsPage | null = null;
  #end: string | null = null;
  #last: string | null = null;
  readonly #seen = new Set<string>();

  constructor(roomId: RoomId) {
    this.#roomId = roomId;
  }

  /** Where it ends; null where nothing is known. */
  get end(): string | null {
    return this.#end;
  }

  /** The last event before its end. */
  get last(): string | null {
    return this.#last;
  }

  get bytes(): number {
    return this.#pages.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  hasSeen(eventId: string): boolean {
    return this.#seen.has(eventId);
  }

  /** Whether what came after a position is held whole. */
  has(from: string, now: number): boolean {
    this.#age(now);
    return from === this.#end || this.#pages.some(({ start }) => start === from);
  }

  /** What came after a position; null where that is not held whole. */
  after(from: string, now: number): EventsPage | null {
    this.#age(now);
    if (this.#end === null) return null;
    if (from === this.#end) return { chunk: [], start: from, end: from };
    if (this.#given?.start === from) return this.#given;
    const at = this.#pages.findIndex(({ start }) => start === from);
    if (at === -1) return null;
    this.#given = { chunk: this.#pages.slice(at).flatMap(({ chunk }) => chunk), start: from, end: this.#end };
    return this.#given;
  }

  /**
   * Takes in a page that was read from the end, or from anywhere where there is none. A full page may leave out what came after it, so
   * that the next one read begins anew. One that does not follow changes nothing: another was faster.
   */
  append(page: StrangersPage, now: number): void {
    if (this.#end !== null && page.start !== this.#end) return;
    this.#given = null;
    const events = eventsOf(page, this.#roomId);
    for (const event of events) this.#see(stringAt(event, "event_id") ?? "");
    if (page.chunk.length >= PAGE) {
      this.clear();
      return;
    }
    // What is held from before may have been taken back.
    if (events.some(({ type }) => type === "m.room.redaction")) this.drop();
    this.#last = stringAt(events.at(-1) ?? {}, "event_id") ?? this.#last;
    if (this.#end !== null && page.end !== this.#end) this.#pages.push({ ...page, at: now });
    this.#end = page.end;
    while (this.#pages.reduce((sum, { chunk }) => sum + chunk.length, 0) >= PAGE) this.#pages.shift();
  }

  /** Forgets what is held, but not where the tail ends. */
  drop(): void {
    this.#given = null;
    this.#pages = [];
  }

  clear(): void {
    this.#seen.clear();
    this.drop();
    this.#end = null;
    this.#last = null;
  }

  #age(now: number): void {
    for (let [oldest] = this.#pages; oldest !== undefined && now - oldest.at >= KEPT_MS; [oldest] = this.#pages) {
      this.#pages.shift();
      this.#given = null;
    }
  }

  #see(eventId: string): void {
    this.#seen.delete(eventId);
    this.#seen.add(eventId);
    for (const oldest of this.#seen) {
      if (this.#seen.size <= SEEN) break;
      this.#seen.delete(oldest);
    }
  }
}

/** The room's own events on a page, without what is told beside them. */
export function eventsOf({ chunk }: EventsPage, roomId: RoomId): JsonObject[] {
  return chunk.filter((entry) => stringAt(entry, "event_id") !== null && entry["room_id"] === roomId);
}

/**
 * Whether a page is what any stranger would be shown: not where the homeserver says that the reader was more than that at an event
 * (MSC4115), as after an invite, nor where the page says that others see the room from then on.
 */
export function isForStrangers(page: EventsPage): boolean {
  return page.chunk.every(({ type, unsigned }) => {
    const membership = isJsonObject(unsigned) ? (unsigned["membership"] ?? "leave") : "leave";
    return membership === "leave" && type !== "m.room.history_visibility";
  });
}
