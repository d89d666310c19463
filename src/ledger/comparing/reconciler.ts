import type { Clock } from "../../model/clock.ts";
import { EmissaryError } from "../../model/errors.ts";
import type { Logger } from "../../model/logger.ts";
import type { Signal } from "../../concurrency/signal.ts";
import { workUntil } from "../../concurrency/worker.ts";
import type { RoomEvent } from "../../model/event.ts";
import type { RoomId } from "../../model/ids.ts";
import type { Recorder } from "../recorder.ts";
import type { SqliteReconcileStore } from "../store/comparing.ts";
import type { StallDetector } from "./delivery.ts";
import type { Holes } from "./holes.ts";
import type { HomeserverAnswers } from "./homeserver-queries.ts";
import type { Timelines } from "./timelines.ts";

/** How often to check whether the homeserver delivers. */
const DELIVERY_EVERY_MS = 60_000;
/** Lively rooms whose timelines are compared each time. */
const LIVELY = 5;
/** How often to compare the list of rooms. */
const ROOMS_EVERY_MS = 60 * 60_000;
/** Every room's state is compared after each start, and then once in this time, one room after the other. */
const ROOM_EVERY_MS = 24 * 60 * 60_000;
/** Pause between two rooms' comparisons: each costs the homeserver the room's whole state. */
const ROOM_GAP_MS = 20_000;
const FIRST_ROOM_MS = 2_000;
/** Every room's timeline is compared after each start, after each loss, then once in this time, oldest first. */
const TIMELINE_EVERY_MS = 15 * 60_000;
const TIMELINE_GAP_MS = 500;
/** How often to look for rooms that the pseudouser re-entered, whose missed events the homeserver should fetch. */
const HOLES_EVERY_MS = 1_000;

export interface ReconcilerParts {
  readonly queries: Pick<HomeserverAnswers, "joinedRooms">;
  readonly store: SqliteReconcileStore;
  readonly moves: {
    /** Returns the pseudouser's own membership event as the homeserver has it; null if it has none or does not say. */
    ownMembership(roomId: RoomId, abort: AbortSignal): Promise<RoomEvent | null>;
  };
  readonly recorder: Recorder;
  readonly watch: StallDetector;
  readonly timelines: Timelines;
  readonly holes: Holes;
  readonly clock: Clock;
  readonly log: Logger;
  /** Fires when the loader must compare a room. */
  readonly wake: Signal;
  /** Called with the result of every compared list of rooms. */
  readonly found: (what: { readonly unknown: number; readonly gone: number }) => void;
}

/** Compares the ledger with the homeserver's answers, at start and from time to time, until the signal aborts. */
export async function reconcileForever(parts: ReconcilerParts, abort: AbortSignal): Promise<void> {
  const { clock } = parts;
  const startedAt = clock.now();
  await Promise.all([
    every(parts, abort, ROOMS_EVERY_MS, 0, () => compareRooms(parts, abort)),
    every(parts, abort, DELIVERY_EVERY_MS, DELIVERY_EVERY_MS, () => lookAtDelivery(parts, abort)),
    every(parts, abort, HOLES_EVERY_MS, HOLES_EVERY_MS, () => parts.holes.look(abort)),
    every(parts, abort, TIMELINE_GAP_MS, TIMELINE_GAP_MS, () => {
      const before = Math.max(startedAt, parts.timelines.gapAt, clock.now() - TIMELINE_EVERY_MS);
      return parts.timelines.next(before, abort);
    }),
    every(parts, abort, ROOM_GAP_MS, FIRST_ROOM_MS, async () => {
      const now = clock.now();
      const before = Math.max(startedAt, now - ROOM_EVERY_MS);
      if ((await parts.store.recheckOne(before, now)) !== null) parts.wake.notify();
    }),
  ]);
  await Promise.all([parts.timelines.idle(), parts.holes.idle()]);
}

/**
 * Compares the rooms that we are in with the ledger's, and repairs the ledger. A homeserver can lose an event on its
 * way to us (element-hq/synapse#11637), and a backup can be restored. The keeper then loads, joins or leaves as always.
 */
async function compareRooms(parts: ReconcilerParts, abort: AbortSignal): Promise<void> {
  const { queries, store, moves, recorder, clock, log, found } = parts;
  const held = new Set(await store.attended());
  const said = new Set(await queries.joinedRooms(abort));
  // A join or leave under way changes between the two queries, so only a difference in both counts.
  const heldAfter = new Set(await store.attended());
  const unknown = [...said].filter((roomId) => !held.has(roomId) && !heldAfter.has(roomId));
  const gone = [...held].filter((roomId) => heldAfter.has(roomId) && !said.has(roomId));
  for (const roomId of [...unknown, ...gone]) {
    if (abort.aborted) break;
    await recorder.observe(() => moves.ownMembership(roomId, abort));
  }
  // The homeserver tells of a leave, because it keeps the state of the room. It tells nothing of a forgotten room.
  const still = new Set(await store.attended());
  for (const roomId of gone) if (still.has(roomId) && !abort.aborted) await store.setAbsent(roomId, clock.now());
  found({ unknown: unknown.length, gone: gone.length });
  for (const room of unknown) log.warn("reconcile.room-unknown", { room });
  for (const room of gone) log.warn("reconcile.room-gone", { room });
}

async function lookAtDelivery({ watch, timelines, store, log }: ReconcilerParts, abort: AbortSignal): Promise<void> {
  const before = watch.delivery.state;
  const delivery = await watch.look(abort);
  for (const roomId of await store.liveliest(LIVELY)) if (!abort.aborted) await timelines.look(roomId, abort);
  if (delivery.state === before) return;
  if (delivery.state === "flowing") {
    timelines.noteGap();
    log.info("delivery.flowing", {});
    return;
  }
  const { since, cause } = delivery;
  if (delivery.state === "silent") log.warn("delivery.silent", { since, cause });
  else log.error("delivery.stalled", { since, cause });
}

/** Repeats an action. It goes on if the homeserver cannot be asked for the moment. */
async function every(
  { clock, log }: ReconcilerParts,
  abort: AbortSignal,
  gap: number,
  first: number,
  act: () => Promise<void>,
): Promise<void> {
  await clock.sleep(first, abort);
  await workUntil(abort, {
    round: async () => {
      await act();
      return gap;
    },
    failed: (error) => {
      if (error instanceof EmissaryError) log.debug("reconcile.put-off", { cause: error.message });
      else log.error("reconcile.failed", { error });
    },
    failedRest: gap,
    clock,
  });
}
