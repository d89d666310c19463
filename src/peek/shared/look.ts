import type { Clock } from "../../model/clock.ts";
import type { RoomId } from "../../model/ids.ts";
import { remember } from "../../concurrency/remember.ts";
import type { EventsPage, PagePosition } from "../homeserver/peeked-rooms.ts";
import type { ReaderRooms, StrangersPage } from "../homeserver/reader.ts";
import type { RoomNews } from "../msc2753/news.ts";
import { eventsOf, isForStrangers, PAGE, RoomTail } from "./tail.ts";
import { OVER, Span } from "../../concurrency/over.ts";

const ROOMS = 1_000;
const HELD_BYTES = 16 * 1024 * 1024;
/** Shortest interval between two reads of a room, in milliseconds. Batches bursts of events. */
const PACE_MS = 75;
/** How far clients' view of the homeserver can lag behind an event pushed to us, in milliseconds. */
const SETTLED_MS = 250;
/** Longest poll, in milliseconds. Proxies may cut longer requests. */
const LONGEST_POLL_MS = 30_000;
/** How long the reader does not read a room again that showed it nothing, in milliseconds. */
const REFUSED_MS = 30_000;

interface Looking {
  /** The newest known event of the room when the read began. */
  asOf: number;
  done: Promise<boolean>;
}

/** A long poll of the homeserver, and the number of its waiters. */
interface Polling {
  readonly done: Promise<boolean>;
  readonly over: AbortController;
  waiting: number;
}

class Watched {
  readonly tail: RoomTail;
  polling: Polling | null = null;
  looking: Looking | null = null;
  asOf = -1;
  lookedAt = -Infinity;
  refusedUntil = -Infinity;

  constructor(roomId: RoomId) {
    this.tail = new RoomTail(roomId);
  }
}

export interface SharedLookParts {
  readonly rooms: Pick<ReaderRooms, "events">;
  readonly news: Pick<RoomNews, "newestIn" | "read">;
  readonly clock: Clock;
  readonly stopping: AbortSignal;
}

/**
 * New events of rooms, read from the homeserver once for all strangers. Each answer was requested after the room's
 * newest known event, so nothing leaks from a room closed to strangers. Methods throw as ReaderRooms does.
 */
export class SharedLook {
  readonly #parts: SharedLookParts;
  /** Least recently used first. */
  readonly #watched = new Map<RoomId, Watched>();
  readonly #reading = new Map<string, Promise<StrangersPage | null>>();
  /** Bytes read since the held bytes were last counted. */
  #uncounted = 0;

  constructor(parts: SharedLookParts) {
    this.#parts = parts;
  }

  /** Returns all events after a position, or a full page; null if strangers may not see them. */
  async after(roomId: RoomId, from: string): Promise<EventsPage | null> {
    const { clock } = this.#parts;
    const watched = this.#of(roomId);
    if (clock.now() < watched.refusedUntil) return null;
    if (watched.tail.has(from, clock.now())) {
      if (!(await this.#freshen(roomId, watched))) return null;
      const page = watched.tail.after(from, clock.now());
      if (page !== null) return page;
    }
    const page = await this.piece(roomId, { from, limit: PAGE });
    return page === null || page.chunk.length >= PAGE ? page : this.#placed(roomId, watched, page);
  }

  /** Whether an event after the position is held. */
  hasNews(roomId: RoomId, from: string): boolean {
    const page = this.#watched.get(roomId)?.tail.after(from, this.#parts.clock.now()) ?? null;
    return page !== null && page.chunk.length > 0;
  }

  /** The same, but waits up to `wait` milliseconds for events. All callers at the room's end share one poll. */
  async next(roomId: RoomId, from: string, wait: number, gone: AbortSignal): Promise<EventsPage | null> {
    const { clock, news } = this.#parts;
    const watched = this.#of(roomId);
    const until = clock.now() + wait;
    for (let hasWaited = false; ; hasWaited = true) {
      await news.read();
      if (clock.now() < watched.refusedUntil) return null;
      const left = Math.min(until - clock.now(), LONGEST_POLL_MS);
      if (!watched.tail.has(from, clock.now())) {
        const page = await this.#read(roomId, { from, limit: PAGE }, Math.max(0, left), gone);
        return page === null || page.chunk.length >= PAGE ? page : this.#placed(roomId, watched, page);
      }
      if (!(await this.#freshen(roomId, watched))) return null;
      const held = watched.tail.after(from, clock.now());
      if (held !== null && held.chunk.length > 0) return held;
      if (left <= 0 || hasWaited || gone.aborted) return held;
      if (!(await this.#wait(roomId, watched, left, gone))) return null;
    }
  }

  /** Returns up to a number of events after a position; null likewise. */
  async piece(roomId: RoomId, position: PagePosition): Promise<StrangersPage | null> {
    const key = `${roomId} ${position.limit} ${position.from}`;
    // A read in progress may miss what its caller knows of. A caller who misses that looks again.
    const under = this.#reading.get(key) ?? this.#read(roomId, position, 0, this.#parts.stopping);
    this.#reading.set(key, under);
    try {
      return await under;
    } finally {
      if (this.#reading.get(key) === under) this.#reading.delete(key);
    }
  }

  #of(roomId: RoomId): Watched {
    const watched = this.#watched.get(roomId) ?? new Watched(roomId);
    remember(this.#watched, roomId, watched, ROOMS);
    return watched;
  }

  /** Ends the page at the tail's end if they are the same place: from there, all callers get the same. */
  async #placed(roomId: RoomId, watched: Watched, page: StrangersPage): Promise<EventsPage> {
    const { tail } = watched;
    const last = eventsOf(page, roomId).at(-1)?.["event_id"];
    if (last === undefined) return page;
    if (tail.end === null) tail.append(page, this.#parts.clock.now());
    else if (tail.last !== last) await this.#freshen(roomId, watched);
    return tail.end !== null && tail.last === last ? { ...page, end: tail.end } : page;
  }

  /** Brings the tail up to date. Returns false if the homeserver no longer shows the room to strangers. */
  async #freshen(roomId: RoomId, watched: Watched): Promise<boolean> {
    const { news, clock } = this.#parts;
    const newest = news.newestIn(roomId);
    const seq = newest?.seq ?? 0;
    const { tail } = watched;
    // Strangers were shown the newest event and everything before it.
    const isSeen = newest !== null && tail.hasSeen(newest.eventId);
    const isAsked = watched.asOf >= seq && (newest === null || clock.now() - watched.lookedAt < SETTLED_MS);
    if (isSeen || isAsked) return clock.now() >= watched.refusedUntil;
    for (;;) {
      const looking = (watched.looking ??= this.#look(roomId, watched));
      const isShown = await looking.done;
      if (!isShown || looking.asOf >= seq) return isShown;
    }
  }

  #look(roomId: RoomId, watched: Watched): Looking {
    const { news, clock, stopping } = this.#parts;
    const looking: Looking = { asOf: -1, done: Promise.resolve(false) };
    const look = async (): Promise<boolean> => {
      const early = watched.lookedAt + PACE_MS - clock.now();
      if (early > 0) await clock.sleep(early, stopping);
      looking.asOf = news.newestIn(roomId)?.seq ?? 0;
      watched.lookedAt = clock.now();
      const from = watched.tail.end;
      if (from === null) return true;
      const page = await this.#read(roomId, { from, limit: PAGE }, 0, stopping);
      if (page === null) return false;
      watched.tail.append(page, clock.now());
      watched.asOf = looking.asOf;
      this.#bound(page.bytes);
      return true;
    };
    looking.done = look().finally(() => (watched.looking = null));
    return looking;
  }

  /** Waits for an event after the tail's end, at most `ms`. Returns false if strangers may not see the room. */
  async #wait(roomId: RoomId, watched: Watched, ms: number, gone: AbortSignal): Promise<boolean> {
    const polling = (watched.polling ??= this.#poll(roomId, watched));
    polling.waiting += 1;
    const over = new Span(gone);
    const late = this.#parts.clock.sleep(ms, over.signal).then(() => true);
    try {
      return await Promise.race([polling.done, late]);
    } finally {
      over.end();
      polling.waiting -= 1;
      if (polling.waiting === 0) polling.over.abort(OVER);
    }
  }

  #poll(roomId: RoomId, watched: Watched): Polling {
    const { clock, stopping } = this.#parts;
    const over = new AbortController();
    const poll = async (): Promise<boolean> => {
      const from = watched.tail.end;
      if (from === null) return true;
      const signal = AbortSignal.any([over.signal, stopping]);
      const page = await this.#read(roomId, { from, limit: PAGE }, LONGEST_POLL_MS, signal);
      if (page !== null) watched.tail.append(page, clock.now());
      return page !== null;
    };
    const ended = (): void => {
      if (watched.polling === polling) watched.polling = null;
    };
    const polling: Polling = { done: poll().finally(ended), over, waiting: 0 };
    // Nobody waits for a poll that is broken off.
    polling.done.catch(() => undefined);
    return polling;
  }

  async #read(roomId: RoomId, position: PagePosition, wait: number, abort: AbortSignal): Promise<StrangersPage | null> {
    const page = await this.#parts.rooms.events(roomId, position, wait, abort);
    if (page !== null && isForStrangers(page)) return page;
    const watched = this.#of(roomId);
    watched.tail.clear();
    watched.refusedUntil = this.#parts.clock.now() + REFUSED_MS;
    return null;
  }

  /** Drops held pages of the least recently used rooms. */
  #bound(bytes: number): void {
    this.#uncounted += bytes;
    if (this.#uncounted < HELD_BYTES / 4) return;
    this.#uncounted = 0;
    let held = 0;
    for (const { tail } of [...this.#watched.values()].reverse()) {
      held += tail.bytes;
      if (held > (HELD_BYTES / 4) * 3) tail.drop();
    }
  }
}
