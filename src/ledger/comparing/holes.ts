import { withLimit, type Clock } from "../../model/clock.ts";
import { EmissaryError } from "../../model/errors.ts";
import type { EventId, RoomId } from "../../model/ids.ts";
import type { Logger } from "../../model/logger.ts";

/** A room that was entered again: what was said between the two stays may not be at our homeserver. */
export interface Hole {
  readonly roomId: RoomId;
  /** The last event that is known of the earlier stay. */
  readonly left: EventId;
  /** When it was due: another stay has another time. */
  readonly due: number;
  /** How often it was tried in vain. */
  readonly tries: number;
}

export interface HoleStore {
  /** Holes whose time has come, at most `limit`. */
  holes(now: number, limit: number): Promise<readonly Hole[]>;
  /** Nothing is missing any more. */
  closed(hole: Hole): Promise<void>;
  /** Tries again later; null for no more, and the room is marked from then on. Changes nothing of a later stay. */
  openStill(hole: Hole, at: number | null): Promise<void>;
}

/** An event with those that came right before it, where the homeserver says so. */
export interface Link {
  readonly id: EventId;
  readonly previous: readonly EventId[] | null;
}

export interface LinkPage {
  readonly links: readonly Link[];
  readonly end: string | null;
}

export interface HolesParts {
  readonly store: HoleStore;
  readonly queries: {
    /** Like `timeline`, but of what the events hang on. Reading back has the homeserver fetch what it lacks from other servers. */
    links(roomId: RoomId, from: string | null, limit: number, abort: AbortSignal): Promise<LinkPage | null>;
  };
  readonly clock: Clock;
  readonly log: Logger;
}

/** Synapse fetches a hundred events at most for each page, and only where a page ends at what it lacks: so it is read several times. */
const PAGE = 100;
const PAGES = 30;
const PASSES = 40;
const BREATH_MS = 500;
/** All tries of one time, milliseconds: another server may be slow. And the pauses before further ones; after those the room is marked. */
const LONGEST_MS = 120_000;
const AGAIN_MS = [60_000, 10 * 60_000, 60 * 60_000] as const;
const AT_ONCE = 4;

/** Has the homeserver fetch what was said while the pseudouser was not in a room, when it comes back. */
export class Holes {
  readonly #parts: HolesParts;
  readonly #running = new Map<RoomId, Promise<void>>();

  constructor(parts: HolesParts) {
    this.#parts = parts;
  }

  /** Begins with the holes whose time has come. */
  async look(abort: AbortSignal): Promise<void> {
    const { store, clock } = this.#parts;
    for (const hole of await store.holes(clock.now(), AT_ONCE + this.#running.size)) {
      if (this.#running.size >= AT_ONCE) return;
      if (this.#running.has(hole.roomId)) continue;
      this.#running.set(
        hole.roomId,
        this.#fill(hole, abort).finally(() => this.#running.delete(hole.roomId)),
      );
    }
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  async #fill(hole: Hole, abort: AbortSignal): Promise<void> {
    const { store, clock, log } = this.#parts;
    const { roomId: room, tries } = hole;
    try {
      const isClosed = await withLimit(clock, LONGEST_MS, abort, (limit) =>
        this.#isClosed(hole, AbortSignal.any([limit, abort])),
      );
      if (abort.aborted) return;
      if (isClosed) {
        await store.closed(hole);
        log.debug("room.gap-closed", { room });
        return;
      }
      const pause = AGAIN_MS[tries] ?? null;
      await store.openStill(hole, pause === null ? null : clock.now() + pause);
      if (pause === null) log.warn("room.gap-open", { room });
    } catch (error) {
      log.error("reconcile.failed", { error });
    }
  }

  /** Reads back until nothing is missing, or two readings find the same. */
  async #isClosed(hole: Hole, abort: AbortSignal): Promise<boolean> {
    let before = -1;
    for (let pass = 0; pass < PASSES && !abort.aborted; pass += 1) {
      let found: { readonly isWhole: boolean; readonly events: number } | null;
      try {
        found = await this.#read(hole, abort);
      } catch (error) {
        if (error instanceof EmissaryError) return false;
        throw error;
      }
      if (found === null) return false;
      if (found.isWhole) return true;
      if (found.events === before) return false;
      before = found.events;
      await this.#parts.clock.sleep(BREATH_MS, abort);
    }
    return false;
  }

  /** Whether all that the newer events hang on is there, back to the earlier stay. */
  async #read({ roomId, left }: Hole, abort: AbortSignal): Promise<{ isWhole: boolean; events: number } | null> {
    const ids = new Set<EventId>();
    const wanted = new Set<EventId>();
    let isBack = false;
    let from: string | null = null;
    for (let pages = 0; pages < PAGES; pages += 1) {
      const page: LinkPage | null = await this.#parts.queries.links(roomId, from, PAGE, abort);
      if (page === null) return null;
      const wasBack = isBack;
      for (const { id, previous } of page.links) {
        ids.add(id);
        isBack ||= id === left;
        // A homeserver that does not say what events hang on cannot be asked whether one is missing.
        if (!isBack) for (const one of previous ?? [left]) wanted.add(one);
      }
      // Some of what the newest hang on may lie a little before the last that is known.
      if (wasBack || page.end === null || page.end === from) break;
      from = page.end;
    }
    return { isWhole: isBack && [...wanted].every((id) => ids.has(id)), events: ids.size };
  }
}
