import { withLimit, type Clock } from "../../model/clock.ts";
import { EmissaryError } from "../../model/errors.ts";
import type { EventId, RoomId } from "../../model/ids.ts";
import type { Logger } from "../../model/logger.ts";
import type { Hole, SqliteReconcileStore } from "../store/comparing.ts";
import type { HomeserverAnswers, LinkPage } from "./homeserver-queries.ts";

export interface HolesParts {
  readonly store: Pick<SqliteReconcileStore, "holes" | "closed" | "openStill">;
  readonly queries: Pick<HomeserverAnswers, "links">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Synapse fetches at most a hundred events per page that ends at a missing one: so it takes several passes. */
const PAGE = 100;
const PAGES = 30;
const PASSES = 40;
const BREATH_MS = 500;
/**
 * Time for all passes of one try, in milliseconds: another server may be slow. Then the pauses before further tries;
 * after these the room is marked.
 */
const LONGEST_MS = 120_000;
const AGAIN_MS = [60_000, 10 * 60_000, 60 * 60_000] as const;
const AT_ONCE = 4;

/** Makes the homeserver fetch the events sent while the pseudouser was out of a room, once it is back. */
export class Holes {
  readonly #parts: HolesParts;
  readonly #running = new Map<RoomId, Promise<void>>();

  constructor(parts: HolesParts) {
    this.#parts = parts;
  }

  /** Starts on the due holes. */
  async look(abort: AbortSignal): Promise<void> {
    const { store, clock } = this.#parts;
    for (const hole of await store.holes(clock.now(), AT_ONCE + this.#running.size)) {
      if (this.#running.size >= AT_ONCE) return;
      if (this.#running.has(hole.roomId)) continue;
      const filled = this.#fill(hole, abort).finally(() => this.#running.delete(hole.roomId));
      this.#running.set(hole.roomId, filled);
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

  /** Reads back until nothing is missing, or two passes find the same. */
  async #isClosed(hole: Hole, abort: AbortSignal): Promise<boolean> {
    let before = -1;
    for (let pass = 0; pass < PASSES && !abort.aborted; pass += 1) {
      const found = await this.#read(hole, abort).catch((error: unknown) => {
        if (error instanceof EmissaryError) return null;
        throw error;
      });
      if (found === null) return false;
      if (found.isWhole) return true;
      if (found.events === before) return false;
      before = found.events;
      await this.#parts.clock.sleep(BREATH_MS, abort);
    }
    return false;
  }

  /** Returns whether every predecessor of the newer events is there, back to the earlier stay. */
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
        // A homeserver that names no predecessors cannot show that one is missing.
        if (!isBack) for (const one of previous ?? [left]) wanted.add(one);
      }
      // Some predecessors of the newest events may be a little older than the last known event.
      if (wasBack || page.end === null || page.end === from) break;
      from = page.end;
    }
    return { isWhole: isBack && [...wanted].every((id) => ids.has(id)), events: ids.size };
  }
}
