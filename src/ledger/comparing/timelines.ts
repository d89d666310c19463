import { EVENT_MEMORY, type Recorder } from "../recorder.ts";
import type { Clock } from "../../model/clock.ts";
import { KeyedMutex } from "../../concurrency/keyed-mutex.ts";
import { EmissaryError } from "../../model/errors.ts";
import type { RoomEvent } from "../../model/event.ts";
import type { EventId, RoomId } from "../../model/ids.ts";
import type { Logger } from "../../model/logger.ts";
import type { SqliteReconcileStore, TimelinePoint } from "../store/comparing.ts";
import type { StallDetector } from "./delivery.ts";
import type { HomeserverAnswers } from "./homeserver-queries.ts";

/** Most events and bytes read back in one room. Events further back are not looked for. */
const MOST = { events: 1_000, bytes: 16 * 1024 * 1024 } as const;
/** Events on the first page, enough for quiet rooms, and on further pages. */
const PAGE = { first: 10, more: 50 } as const;
/** Rooms that may be checked for lost events at once. */
const SUSPECTS = 200;
/** Time for events to arrive by themselves, and after a ping made the homeserver send its queue. Milliseconds. */
const GRACE_MS = 5_000;
const ASKED_MS = 15_000;
/** Shortest time between two losses that each make every room compared. */
const ALL_MS = 60_000;
/** Events may arrive during a comparison, so it leaves a margin at the memory's end. */
const REMEMBERED = EVENT_MEMORY - 5_000;

export interface TimelinesParts {
  readonly queries: Pick<HomeserverAnswers, "timeline" | "ping">;
  readonly store: Pick<SqliteReconcileStore, "toCompare" | "comparedUpTo" | "compared">;
  readonly recorder: Pick<Recorder, "knows" | "recordLate" | "received">;
  readonly watch: Pick<StallDetector, "isBeyond">;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called with the number of late events taken in. */
  readonly late: (events: number) => void;
}

/**
 * Reads rooms' timelines back to where they were last complete, and takes in missing events. A homeserver sends a
 * room's events in order, so an event is lost if a later one arrived. Events at the end are lost if the homeserver was
 * asked to send its queue, and sent newer events or nothing. Events taken in count as received.
 */
export class Timelines {
  readonly #parts: TimelinesParts;
  readonly #suspects = new Map<RoomId, Promise<void>>();
  #gapAt = -Infinity;
  readonly #mutex = new KeyedMutex();

  constructor(parts: TimelinesParts) {
    this.#parts = parts;
  }

  /** Every room that was last compared before this must be compared. */
  get gapAt(): number {
    return this.#gapAt;
  }

  /** Called after a loss, or when delivery stood still: other rooms may lack events too. */
  noteGap(): void {
    const now = this.#parts.clock.now();
    if (now - this.#gapAt >= ALL_MS) this.#gapAt = now;
  }

  /** Compares the room with the oldest comparison, if from before `before`. */
  async next(before: number, abort: AbortSignal): Promise<void> {
    const point = await this.#parts.store.toCompare(before);
    if (point !== null) await this.#compare(point, abort);
  }

  /** Compares one room. */
  async look(roomId: RoomId, abort: AbortSignal): Promise<void> {
    const point = await this.#parts.store.comparedUpTo(roomId);
    if (point !== null) await this.#compare(point, abort);
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await Promise.all(this.#suspects.values());
  }

  async #compare(point: TimelinePoint, abort: AbortSignal): Promise<void> {
    const { store, recorder, clock } = this.#parts;
    const { roomId } = point;
    const isSound = point.upTo !== null && point.last - point.seq <= REMEMBERED;
    // If more events arrived since than are remembered, missing and forgotten events look alike: start anew here.
    const events = await this.#read(point, isSound ? MOST.events : 1, abort);
    const missing = isSound ? events.filter(({ event_id: id }) => !recorder.knows(id)) : [];
    // Noted in any case, so that other rooms get their turn.
    const upTo = missing.length === 0 ? (events.at(-1)?.event_id ?? point.upTo) : point.upTo;
    await store.compared(roomId, upTo, missing.length === 0 ? point.last : point.seq, clock.now());
    if (missing.length === 0 || this.#suspects.has(roomId) || this.#suspects.size >= SUSPECTS) return;
    const order = events.map(({ event_id: id }) => id);
    const settled = this.#settle(point, order, abort).finally(() => this.#suspects.delete(roomId));
    this.#suspects.set(roomId, settled);
  }

  /**
   * Finds the room's lost events, and takes them in.
   * @param order the room's events when some were missing, the oldest first
   */
  async #settle(point: TimelinePoint, order: readonly EventId[], abort: AbortSignal): Promise<void> {
    const { clock, log } = this.#parts;
    try {
      const { received } = this.#parts.recorder;
      await clock.sleep(GRACE_MS, abort);
      const isEndLost = await this.#isEndLost(point.roomId, order, received, abort);
      if (abort.aborted) return;
      await this.#mutex.run(null, () => this.#takeIn(point, new Set(order), isEndLost, abort));
    } catch (error) {
      if (error instanceof EmissaryError) log.debug("reconcile.put-off", { cause: error.message });
      else log.error("reconcile.failed", { error });
    }
  }

  /** One room after the other, because the pages may be large. */
  async #takeIn(
    point: TimelinePoint,
    seen: ReadonlySet<EventId>,
    isEndLost: boolean,
    abort: AbortSignal,
  ): Promise<void> {
    const { store, recorder, clock, log, late } = this.#parts;
    const { roomId } = point;
    const events = await this.#read(point, MOST.events, abort);
    const newestKnown = events.findLastIndex(({ event_id: id }) => recorder.knows(id));
    const open = events.findIndex(
      ({ event_id: id }, index) => !recorder.knows(id) && !(seen.has(id) && (isEndLost || index < newestKnown)),
    );
    const judged = open === -1 ? events : events.slice(0, open);
    const newest = judged.at(-1);
    if (newest === undefined) return;
    const lost = judged.filter(({ event_id: id }) => !recorder.knows(id));
    const count = lost.length === 0 ? 0 : await recorder.recordLate(roomId, lost);
    await store.compared(roomId, newest.event_id, point.last, clock.now());
    if (count === 0) return;
    log.warn("reconcile.events-late", { room: roomId, events: count });
    late(count);
    this.noteGap();
  }

  async #isEndLost(roomId: RoomId, order: readonly EventId[], received: number, abort: AbortSignal): Promise<boolean> {
    const { queries, recorder, watch, clock } = this.#parts;
    const end = order.slice(order.findLastIndex((id) => recorder.knows(id)) + 1);
    if (end.length === 0) return false;
    await queries.ping(abort);
    await clock.sleep(ASKED_MS, abort);
    if (abort.aborted || end.every((id) => recorder.knows(id))) return false;
    return recorder.received === received || (await watch.isBeyond(roomId, abort));
  }

  /** Returns the events after the point, the oldest first. */
  async #read({ roomId, upTo }: TimelinePoint, most: number, abort: AbortSignal): Promise<readonly RoomEvent[]> {
    const newestFirst: RoomEvent[] = [];
    let bytes = 0;
    let from: string | null = null;
    for (;;) {
      const limit = Math.min(most, from === null ? PAGE.first : PAGE.more);
      const page = await this.#parts.queries.timeline(roomId, from, limit, abort);
      if (page === null) break;
      for (const event of page.events) {
        if (event.event_id === upTo) return newestFirst.reverse();
        bytes += JSON.stringify(event).length;
        if (newestFirst.length >= most || bytes > MOST.bytes) return newestFirst.reverse();
        newestFirst.push(event);
      }
      if (page.end === null || page.end === from || newestFirst.length >= most) break;
      from = page.end;
    }
    return newestFirst.reverse();
  }
}
