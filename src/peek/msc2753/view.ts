import type { Clock } from "../../model/clock.ts";
import { EmissaryError } from "../../model/errors.ts";
import type { RoomId } from "../../model/ids.ts";
import { written, type JsonObject } from "../../model/json.ts";
import type { LeaseEnd } from "../../model/lease.ts";
import type { Signal } from "../../concurrency/signal.ts";
import type { LeaseDesk } from "../../attendance/leases/desk.ts";
import type { Text } from "../merge.ts";
import { wholeBeginning } from "./beginning.ts";
import type { PeekedRooms } from "../homeserver/peeked-rooms.ts";
import type { RoomLinks } from "../homeserver/room-links.ts";
import type { DevicePeek, PeekStore } from "../store.ts";
import type { PeekFilter } from "./filter.ts";
import { headsAfter, holesIn } from "./holes.ts";
import type { RoomNews } from "./news.ts";
import { newsAfter, roomFromBeginning, wholeRoom, writtenRoom, type StreamedRest } from "./room.ts";
import { MAX_PLACES, type Place, type Places } from "./token.ts";
import { Span } from "../../concurrency/over.ts";

export interface ViewParts {
  readonly store: Pick<PeekStore, "peeksOf" | "newest">;
  readonly rooms: Pick<PeekedRooms, "beginning" | "events">;
  readonly links: RoomLinks;
  readonly news: RoomNews;
  readonly desk: Pick<LeaseDesk, "release">;
  /** Sources of news besides events: the pseudouser's coming and going, and leases. */
  readonly signals: readonly Signal[];
  readonly clock: Clock;
  /** Called with a room that no device may get, and the reason. `refusalOf` returns that while it holds. */
  readonly refused: (roomId: RoomId, error: EmissaryError) => void;
  readonly refusalOf: (roomId: RoomId) => EmissaryError | null;
}

export interface Viewer {
  /** The name of the device's leases. */
  readonly device: string;
  readonly token: string;
  readonly filter: PeekFilter;
  /** Maximum of timeline events in a room, if not the filter's. */
  readonly limitOf?: (roomId: RoomId) => number;
  /** Whether a room is still being opened, so its history may be missing. */
  readonly isOpening?: (roomId: RoomId) => boolean;
  /** Whether to send every room as if it were new. */
  readonly anew: boolean;
  readonly gone: AbortSignal;
}

const AT_ONCE = 4;
/** Time until another look, in milliseconds: clients' view can lag behind an event that was pushed to us. */
const AGAIN_MS = 500;

/** The part of one `/sync` answer about a device's peeked rooms, and the device's places after it. */
export class PeekView {
  /** Rooms to send, in the form of the answer. */
  readonly peek = new Map<RoomId, JsonObject>();
  readonly left = new Set<RoomId>();
  /** Where the device continues after this answer. */
  readonly places: Map<RoomId, Place>;
  /** Rooms in `peek` that are sent from their end, replacing everything sent before. */
  readonly begun = new Set<RoomId>();
  /** Unread parts of large rooms in `peek`. Meanwhile no other room begins: it waits for the next answer. */
  readonly #rests = new Map<RoomId, StreamedRest>();

  readonly #parts: ViewParts;
  readonly #viewer: Viewer;
  readonly #before: Places;
  readonly #failed = new Set<RoomId>();
  /** Newest events that were not found, by room. */
  readonly #missed = new Map<RoomId, number>();
  #peeks: readonly DevicePeek[] = [];
  #asOf: number | null = null;
  /** The journal's newest event at the last look. */
  #last = 0;
  #isUnsettled = false;

  constructor(parts: ViewParts, viewer: Viewer, places: Places) {
    this.#parts = parts;
    this.#viewer = viewer;
    this.#before = places;
    this.places = new Map(places);
  }

  get isNews(): boolean {
    return this.peek.size > 0 || this.left.size > 0;
  }

  /** Whether `peek` holds everything to send. */
  get isWhole(): boolean {
    return this.#rests.size === 0;
  }

  /** Whether the device has a peek, sent or not. */
  get isPeeking(): boolean {
    return this.#peeks.length > 0;
  }

  /** Looks until there is news or the signal aborts; then once more. */
  async watch(until: AbortSignal): Promise<void> {
    for (;;) {
      const woken = new Span(until);
      const over = woken.signal;
      const next = this.#parts.signals.map((signal) => signal.next(over));
      try {
        await this.look();
        if (this.isNews || until.aborted) return;
        const rooms = this.#peeks.map(({ roomId }) => roomId);
        next.push(this.#parts.news.next(rooms, this.#last, over));
        if (this.#isUnsettled) next.push(this.#parts.clock.sleep(AGAIN_MS, over));
        await Promise.race(next);
      } finally {
        woken.end();
      }
    }
  }

  /** Reads all news. A room that the homeserver does not return now is left for the next answer. */
  async look(): Promise<void> {
    const { store, news } = this.#parts;
    const last = await news.read();
    const newest = await store.newest();
    if (newest !== this.#asOf) {
      this.#peeks = await store.peeksOf(this.#viewer.device);
      this.#asOf = newest;
    }
    this.#last = last;
    this.#isUnsettled = false;
    const live = new Set(this.#peeks.map(({ roomId }) => roomId));
    for (const roomId of this.places.keys()) if (!live.has(roomId)) this.#leave(roomId);
    const due = this.#peeks.filter((peek) => this.#isDue(peek, last));
    const next = async (): Promise<void> => {
      for (let peek = due.shift(); peek !== undefined; peek = due.shift()) await this.#lookInto(peek, last);
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, due.length) }, next));
  }

  /** Returns the rooms as text. A large one is a stream, read once. If it fails, the next answer has the room anew. */
  texts(): ReadonlyMap<RoomId, Text> {
    const texts = [...this.peek].map(([roomId, told]): readonly [RoomId, Text] => {
      const rest = this.#rests.get(roomId);
      return [roomId, rest === undefined ? written(told) : this.#inPieces(roomId, told, rest)];
    });
    return new Map(texts);
  }

  /** Reads everything to send into `peek`. Leaves out a room if that fails. */
  async readAll(): Promise<void> {
    for (const [roomId, rest] of this.#rests) {
      const told = this.peek.get(roomId);
      this.#rests.delete(roomId);
      if (told === undefined) continue;
      try {
        const whole = await this.#allowed(roomId, () => wholeRoom(told, rest));
        if (whole === "gone") await this.#end(roomId, "refused", true);
        else this.peek.set(roomId, whole);
      } catch (error) {
        if (!(error instanceof EmissaryError)) throw error;
        this.scheduleRetry(roomId);
      }
    }
  }

  async *#inPieces(roomId: RoomId, told: JsonObject, rest: StreamedRest): AsyncGenerator<string> {
    try {
      yield* writtenRoom(told, rest);
    } catch (error) {
      if (isRefusal(error)) this.#parts.refused(roomId, error);
      throw error;
    }
    if (rest.rest.after().membership !== "join") return;
    // The user joined meanwhile, so the homeserver's `/sync` has the room from here on.
    await this.#end(roomId, "released");
    throw new EmissaryError("bad-state", "The user came into the room while it was told.");
  }

  /** Leaves the room out of this answer; the next one sends it as new. */
  scheduleRetry(roomId: RoomId): void {
    this.#untell(roomId);
    this.places.delete(roomId);
  }

  /** Ends the peeks in rooms that the user has joined: the homeserver sends them from here on. */
  async join(rooms: ReadonlySet<RoomId>): Promise<void> {
    for (const { roomId } of this.#peeks) {
      if (rooms.has(roomId)) await this.#end(roomId, "released");
    }
  }

  #isDue(peek: DevicePeek, last: number): boolean {
    const { roomId, present } = peek;
    if (!present || this.#failed.has(roomId) || !this.#viewer.filter.hasRoom(roomId)) return false;
    const place = this.#placeOf(peek, last);
    if (place === null && this.#viewer.isOpening?.(roomId) === true) return false;
    if (place === null) return this.places.has(roomId) || this.places.size < MAX_PLACES;
    return this.#parts.news.isAfter(roomId, place.seq);
  }

  /** Returns the place to continue from; null if the room must be sent anew. */
  #placeOf({ roomId, change }: DevicePeek, last: number): Place | null {
    const place = this.places.get(roomId);
    if (place === undefined || place.change !== change || place.seq > last) return null;
    return this.#viewer.anew && place === this.#before.get(roomId) ? null : place;
  }

  async #lookInto(peek: DevicePeek, last: number): Promise<void> {
    try {
      const place = this.#placeOf(peek, last);
      if (place !== null) await this.#follow(peek, place, last);
      else if (this.isWhole) await this.#begin(peek, last);
    } catch (error) {
      if (!(error instanceof EmissaryError)) throw error;
      this.#failed.add(peek.roomId);
    }
  }

  async #begin({ roomId, change }: DevicePeek, last: number): Promise<void> {
    const { rooms, links, news } = this.#parts;
    const { token, gone } = this.#viewer;
    const filter = this.#filterOf(roomId);
    const newest = news.newestIn(roomId);
    const asked = { rooms, links, token, roomId, limit: filter.limit, abort: gone };
    const beginning = await this.#allowed(roomId, () => wholeBeginning(asked));
    if (beginning === "gone") return this.#end(roomId, "refused", true);
    if (beginning.membership === "join") {
      beginning.rest?.drop();
      return this.#end(roomId, "released");
    }
    const { told, rest } = roomFromBeginning(beginning, filter);
    this.#untell(roomId);
    this.peek.set(roomId, told);
    if (rest !== null) this.#rests.set(roomId, rest);
    this.begun.add(roomId);
    const shown = new Set(beginning.events.map((event) => event["event_id"]));
    const seq = newest === null || shown.has(newest.eventId) ? last : newest.seq - 1;
    this.places.set(roomId, { change, seq, from: beginning.end, heads: beginning.heads });
  }

  /** Remembers a refusal that does not depend on the user, and does not try again while it holds. */
  async #allowed<Answer>(roomId: RoomId, ask: () => Promise<Answer>): Promise<Answer | "gone"> {
    if (this.#parts.refusalOf(roomId) !== null) return "gone";
    try {
      return await ask();
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#parts.refused(roomId, error);
      return "gone";
    }
  }

  async #follow(peek: DevicePeek, { change, seq, from, heads }: Place, last: number): Promise<void> {
    const { roomId } = peek;
    const { token, gone } = this.#viewer;
    const filter = this.#filterOf(roomId);
    const newest = this.#parts.news.newestIn(roomId);
    const found = await newsAfter({ rooms: this.#parts.rooms, token, roomId, filter, abort: gone }, from);
    if (found === "gone") return this.#end(roomId, "refused");
    if (found === "lost" || found === "far") return this.#begin(peek, last);
    const { start, end, links } = found;
    const isWhole = newest === null || newest.seq <= seq || found.eventIds.has(newest.eventId);
    const window = { roomId, links: links ?? [], heads, from: start, end };
    const looked = links === null ? null : await holesIn(window, isWhole, this.#parts.links, gone);
    if (looked?.isHole === true) return this.#begin(peek, last);
    if (found.told !== null) this.peek.set(roomId, found.told);
    const isThere = newest === null || found.eventIds.has(newest.eventId) || this.#missed.get(roomId) === newest.seq;
    if (!isThere) {
      this.#missed.set(roomId, newest.seq);
      this.#isUnsettled = true;
    }
    const next = { change, seq: isThere ? last : seq, from: end };
    this.places.set(roomId, { ...next, heads: looked === null ? heads : headsAfter(heads, looked.links) });
  }

  #filterOf(roomId: RoomId): PeekFilter {
    const { filter, limitOf } = this.#viewer;
    return limitOf === undefined ? filter : { ...filter, limit: limitOf(roomId) };
  }

  async #end(roomId: RoomId, end: LeaseEnd, isRefused = false): Promise<void> {
    await this.#parts.desk.release(roomId, { kind: "peek", name: this.#viewer.device }, end);
    this.#peeks = this.#peeks.filter((peek) => peek.roomId !== roomId);
    this.#leave(roomId);
    // A device that never got the room learns that it will not.
    if (isRefused) this.left.add(roomId);
  }

  #leave(roomId: RoomId): void {
    this.#untell(roomId);
    this.places.delete(roomId);
    if (this.#before.has(roomId)) this.left.add(roomId);
  }

  #untell(roomId: RoomId): void {
    this.peek.delete(roomId);
    this.#rests.get(roomId)?.rest.drop();
    this.#rests.delete(roomId);
  }
}

function isRefusal(error: unknown): error is EmissaryError {
  return error instanceof EmissaryError && error.code === "refused-by-policy";
}
