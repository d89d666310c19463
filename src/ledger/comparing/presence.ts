import type { Clock } from "../../model/clock.ts";
import type { RoomEvent } from "../../model/event.ts";
import type { RoomId } from "../../model/ids.ts";
import type { Recorder } from "../recorder.ts";
import type { HomeserverQueries, ReconcileStore } from "./contracts.ts";

export interface PresenceDifferences {
  /** Rooms that we are in and did not know of. */
  readonly unknown: readonly RoomId[];
  /** Rooms that we are no longer in. */
  readonly gone: readonly RoomId[];
}

export interface PresenceParts {
  readonly queries: HomeserverQueries;
  readonly store: ReconcileStore;
  readonly moves: {
    /** Returns the pseudouser's own membership event as the homeserver has it; null if it has none or does not say. */
    ownMembership(roomId: RoomId, abort: AbortSignal): Promise<RoomEvent | null>;
  };
  readonly recorder: Recorder;
  readonly clock: Clock;
}

/**
 * Compares the rooms that we are in according to the homeserver with the ledger's, and repairs the ledger. A
 * homeserver can lose an event on its way to us (element-hq/synapse#11637), and a database can be restored from a
 * backup. What follows (a load, a join, a leave) is up to the keeper, as always.
 */
export async function reconcilePresence(parts: PresenceParts, abort: AbortSignal): Promise<PresenceDifferences> {
  const { queries, store, moves, recorder, clock } = parts;
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
  // The homeserver keeps the state of a room that was left, and so tells of the leave. It tells nothing of a forgotten
  // room.
  const still = new Set(await store.attended());
  for (const roomId of gone) if (still.has(roomId) && !abort.aborted) await store.setAbsent(roomId, clock.now());
  return { unknown, gone };
}
