import type { Clock } from "../../model/clock.ts";
import { EmissaryError, sentenceOf } from "../../model/errors.ts";
import type { RoomId } from "../../model/ids.ts";
import type { Lease } from "../../model/lease.ts";
import type { Logger } from "../../model/logger.ts";
import type { Signal } from "../../concurrency/signal.ts";
import { haveSpaceFor } from "../../policy/grants.ts";
import type { Policy } from "../../policy/policy.ts";
import type { Tenants } from "../../policy/tenants.ts";
import type { UpgradeStore } from "../store/upgrades.ts";
import type { LeaseRefusals } from "../leases/refusals.ts";

export interface FollowersParts {
  readonly store: Pick<UpgradeStore, "move">;
  readonly policy: Pick<Policy, "admit">;
  readonly tenants: Pick<Tenants, "byId" | "assume" | "start">;
  readonly refusals: Pick<LeaseRefusals, "note">;
  /** Fires when leases moved. */
  readonly moved: Signal;
  readonly clock: Clock;
  readonly log: Logger;
}

const LEASES_AT_ONCE = 200;
/** Others get their turn between two commits. */
const BREATH_MS = 1;

/**
 * Moves a room's leases to the room that truly replaces it. Asks policy for each class of leases, and moves the
 * allowed ones. The others stay where they are.
 * @param leases one of each class
 * @returns false if policy could not judge one now
 */
export async function bring(
  parts: FollowersParts,
  from: RoomId,
  to: RoomId,
  leases: readonly Lease[],
): Promise<boolean> {
  let isComplete = true;
  let moved = 0;
  for (const lease of leases) {
    const number = await bringOne(parts, from, to, lease);
    if (number === null) isComplete = false;
    else moved += number;
  }
  if (moved > 0) parts.log.info("room.upgraded", { room: from, replacement: to, leases: moved });
  return isComplete;
}

async function bringOne(parts: FollowersParts, from: RoomId, to: RoomId, lease: Lease): Promise<number | null> {
  const { policy, tenants, refusals, log } = parts;
  const { holder, alias } = lease;
  const tenant = holder.kind === "tenant" ? tenants.byId(holder.name) : null;
  const replaces = tenant !== null && haveSpaceFor(tenant.grants, from) ? from : null;
  const ask = { roomId: to, holder, via: [], alias, upgrades: lease.upgrades + 1, replaces };
  try {
    const { verdict, booked } = await policy.admit(ask, () => move(parts, to, lease));
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

/** Returns the number moved; null if interrupted. */
async function move(parts: FollowersParts, to: RoomId, lease: Lease): Promise<number | null> {
  const { store, tenants, moved, clock } = parts;
  const { holder, roomId: from } = lease;
  // Leases may be judged again at any moment, from memory. The grants that move with a lease must be there first.
  if (holder.kind === "tenant") tenants.assume(holder.name, from, to);
  try {
    let all = 0;
    for (;;) {
      const some = await store.move(to, lease, clock.now(), LEASES_AT_ONCE);
      if (some === null) return null;
      all += some;
      if (some > 0) moved.notify();
      if (some < LEASES_AT_ONCE) return all;
      await clock.sleep(BREATH_MS);
    }
  } finally {
    if (holder.kind === "tenant") await tenants.start();
  }
}
