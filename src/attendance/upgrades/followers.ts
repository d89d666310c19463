import type { Clock } from "../../model/clock.ts";
import { EmissaryError, sentenceOf } from "../../model/errors.ts";
import type { RoomId } from "../../model/ids.ts";
import type { Lease } from "../../model/lease.ts";
import type { Logger } from "../../model/logger.ts";
import type { Signal } from "../../concurrency/signal.ts";
import { haveSpaceFor } from "../../policy/grants.ts";
import type { Policy } from "../../policy/policy.ts";
import type { Tenants } from "../../policy/tenants.ts";
import type { LeaseRefusals } from "../leases/refusals.ts";

export interface FollowStore {
  /**
   * Moves leases of the class of one to the room that replaces theirs, at most `limit`, in one commit: the old ones end, the new ones
   * begin, tenants' users go along, and grants that name the old room name the new one, too. The number moved; null where the two rooms
   * no longer name each other, or we are not in the new one.
   */
  move(to: RoomId, whose: Lease, now: number, limit: number): Promise<number | null>;
}

export interface FollowersParts {
  readonly store: FollowStore;
  readonly policy: Pick<Policy, "admit">;
  readonly tenants: Pick<Tenants, "byId" | "assume" | "start">;
  readonly refusals: Pick<LeaseRefusals, "note">;
  /** Is fired when leases moved. */
  readonly moved: Signal;
  readonly clock: Clock;
  readonly log: Logger;
}

const LEASES_AT_ONCE = 200;
/** Between two commits others have their turn. */
const BREATH_MS = 1;

/** Brings a room's leases into the room that truly replaces it, each as policy has it there. */
export class Followers {
  readonly #parts: FollowersParts;

  constructor(parts: FollowersParts) {
    this.#parts = parts;
  }

  /**
   * Asks policy for each class of leases, and moves those that it allows. The others stay where they are.
   * @param leases one of each class
   * @returns false where one could not be asked about now
   */
  async bring(from: RoomId, to: RoomId, leases: readonly Lease[]): Promise<boolean> {
    let isComplete = true;
    let moved = 0;
    for (const lease of leases) {
      const number = await this.#bringOne(from, to, lease);
      if (number === null) isComplete = false;
      else moved += number;
    }
    if (moved > 0) this.#parts.log.info("room.upgraded", { room: from, replacement: to, leases: moved });
    return isComplete;
  }

  async #bringOne(from: RoomId, to: RoomId, lease: Lease): Promise<number | null> {
    const { policy, tenants, refusals, log } = this.#parts;
    const { holder, alias } = lease;
    const tenant = holder.kind === "tenant" ? tenants.byId(holder.name) : null;
    const replaces = tenant !== null && haveSpaceFor(tenant.grants, from) ? from : null;
    const ask = { roomId: to, holder, via: [], alias, upgrades: lease.upgrades + 1, replaces };
    try {
      const { verdict, booked } = await policy.admit(ask, () => this.#move(to, lease));
      if (verdict.allowed) return booked;
      await refusals.note({ roomId: to, holder, via: [] }, verdict);
      log.info("upgrade.lease-refused", { room: from, replacement: to, holder: holder.kind, code: verdict.code });
      return 0;
    } catch (error) {
      if (!(error instanceof EmissaryError)) throw error;
      log.warn("upgrade.lease-not-judged", { room: from, replacement: to, cause: sentenceOf(error) });
      return null;
    }
  }

  /** The number moved; null where that was interrupted. */
  async #move(to: RoomId, lease: Lease): Promise<number | null> {
    const { store, tenants, moved, clock } = this.#parts;
    const { holder, roomId: from } = lease;
    // Leases are judged again at any moment, by what is in memory: what comes with the lease is to be there when it is.
    if (holder.kind === "tenant") tenants.assume(holder.name, from, to);
    try {
      let all = 0;
      for (;;) {
        const some = await store.move(to, lease, clock.now(), LEASES_AT_ONCE);
        if (some === null) return null;
        all += some;
        if (some > 0) moved.notify();
        if (some < LEASES_AT_ONCE) return all;
        await clock.sleep(BREATH_MS, NEVER);
      }
    } finally {
      if (holder.kind === "tenant") await tenants.start();
    }
  }
}

const NEVER = new AbortController().signal;
