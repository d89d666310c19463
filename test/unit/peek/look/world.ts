import type { ReaderRooms, StrangersPage } from "../../../../src/peek/homeserver/reader.ts";
import { SharedLook } from "../../../../src/peek/shared/look.ts";
import type { EventsPage, PagePosition } from "../../../../src/peek/homeserver/peeked-rooms.ts";
import type { Newest } from "../../../../src/peek/msc2753/news.ts";
import { EmissaryError } from "../../../../src/model/errors.ts";
import type { EventId, RoomId } from "../../../../src/model/ids.ts";
import { stringAt, type JsonObject } from "../../../../src/model/json.ts";
import { Signal } from "../../../../src/concurrency/signal.ts";
import { ManualClock } from "../../../support/clock.ts";

export const ROOM = "!a:x" as RoomId;

interface Said {
  readonly event: JsonObject;
  readonly isForStrangers: boolean;
}

/** A homeserver with a room, which shows its events late, and some to members only; and what our journal has of it. */
export class ReaderWorld implements Pick<ReaderRooms, "events"> {
  readonly timeline: Said[] = [];
  readonly clock = new ManualClock();
  readonly look: SharedLook;
  isClosed = false;
  /** What the reader is to the room at each event from now on. */
  membership = "leave";
  failures = 0;
  reads = 0;
  /** Answers under way. */
  open = 0;
  readonly #moved = new Signal();
  #known = 0;
  #shown = 0;

  constructor() {
    this.look = new SharedLook({
      rooms: this,
      news: { newestIn: () => this.#newest(), read: async () => this.#known },
      clock: this.clock,
      stopping: new AbortController().signal,
    });
  }

  say(isForStrangers = true, more: JsonObject = {}): void {
    const event_id = `$${this.timeline.length + 1}`;
    const unsigned = { membership: this.membership };
    const event = { event_id, room_id: ROOM, type: "m.test", sender: "@b:c", content: {}, unsigned, ...more };
    this.timeline.push({ event, isForStrangers });
  }

  /** Something happens elsewhere: the homeserver's positions go on. */
  stir(): void {
    this.timeline.push({ event: { event_id: `$${this.timeline.length + 1}`, room_id: "!b:x" }, isForStrangers: false });
  }

  /** Our journal gets all that was said. */
  deliver(): void {
    this.#known = this.timeline.length;
  }

  /** The homeserver shows all that was said. */
  show(): void {
    this.#shown = this.timeline.length;
    this.#moved.notify();
  }

  /** Where a user stands whom the homeserver has just shown the room. */
  get now(): string {
    return `s${this.#shown}`;
  }

  /** Those of the events after a position that strangers are shown by now. */
  numbersAfter(from: number): number[] {
    return this.#after(from).map(({ order }) => order);
  }

  async events(_room: RoomId, place: PagePosition, wait: number, abort: AbortSignal): Promise<StrangersPage | null> {
    this.reads += 1;
    this.open += 1;
    try {
      return await this.#answer(place, wait, abort);
    } finally {
      this.open -= 1;
    }
  }

  async #answer({ from, limit }: PagePosition, wait: number, abort: AbortSignal): Promise<StrangersPage | null> {
    const isClosed = this.isClosed;
    const isFailing = this.failures > 0;
    if (isFailing) this.failures -= 1;
    const until = this.clock.now() + wait;
    while (!isFailing && !isClosed && this.#after(Number(from.slice(1))).length === 0 && this.clock.now() < until) {
      const woken = new AbortController();
      const over = AbortSignal.any([abort, woken.signal]);
      await Promise.race([this.#moved.next(over), this.clock.sleep(until - this.clock.now(), over)]);
      woken.abort();
      if (abort.aborted) throw new EmissaryError("homeserver-unreachable", "broken off");
    }
    // An answer says what was there when it was made.
    const newer = this.#after(Number(from.slice(1)));
    const shown = this.#shown;
    await this.clock.sleep(10);
    if (isFailing) throw new EmissaryError("homeserver-error", "not now");
    if (isClosed) return null;
    const chunk = newer.slice(0, limit);
    const end = chunk.length < newer.length ? (chunk.at(-1)?.order ?? 0) : shown;
    return { chunk: chunk.map(({ event }) => event), start: from, end: `s${end}`, bytes: 100 * chunk.length };
  }

  #after(from: number): { readonly event: JsonObject; readonly order: number }[] {
    return this.timeline
      .slice(0, this.#shown)
      .map(({ event, isForStrangers }, index) => ({ event, isForStrangers, order: index + 1 }))
      .filter(({ order, isForStrangers }) => order > from && isForStrangers);
  }

  #newest(): Newest | null {
    const known = this.timeline.slice(0, this.#known);
    const seq = known.findLastIndex(({ event }) => event["room_id"] === ROOM) + 1;
    return seq === 0 ? null : { seq, eventId: `$${seq}` as EventId };
  }
}

/** Somebody who follows the room from where it was when they came. */
export class Stranger {
  readonly told: number[] = [];
  readonly since: number;
  position: string;
  readonly #world: ReaderWorld;

  constructor(world: ReaderWorld) {
    this.#world = world;
    this.position = world.now;
    this.since = Number(this.position.slice(1));
  }

  /** Whether what the answer told was the strangers' part. @param isLost whether the answer goes astray, so that it is asked for again */
  async read(isLost = false): Promise<boolean> {
    return this.#take(await this.#world.look.after(ROOM, this.position), isLost);
  }

  async poll(wait: number, gone = new AbortController().signal): Promise<boolean> {
    return this.#take(await this.#world.look.next(ROOM, this.position, wait, gone), false);
  }

  #take(page: EventsPage | null, isLost: boolean): boolean {
    if (page === null) return false;
    if (isLost) return true;
    this.told.push(...page.chunk.map((event) => Number(stringAt(event, "event_id")?.slice(1))));
    this.position = page.end;
    return true;
  }
}
