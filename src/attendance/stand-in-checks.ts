import { EmissaryError } from "../model/errors.ts";
import type { RoomId, ServerName } from "../model/ids.ts";
import type { Lease } from "../model/lease.ts";
import type { Policy } from "../policy/policy.ts";
import type { MoveFailure } from "./contracts.ts";

/**
 * Judges a join again just before it is made. The join goes ahead if policy allows it to the holder of any lease.
 * Returns null if so; else why not, or that policy could not decide now.
 */
export async function objectionToAll(
  policy: Pick<Policy, "judge">,
  roomId: RoomId,
  leases: readonly Lease[],
  via: readonly ServerName[],
): Promise<MoveFailure | null> {
  let objection: MoveFailure | null = null;
  const asked = new Set<string>();
  for (const { holder, alias, upgrades } of leases) {
    // Tenants differ in their permissions, holders of other kinds do not; rules match the aliases of a room.
    const who = `${holder.kind} ${holder.kind === "tenant" ? holder.name : ""} ${alias ?? ""}`;
    if (asked.has(who)) continue;
    asked.add(who);
    try {
      const verdict = await policy.judge({ roomId, holder, via, alias, upgrades }, "join");
      if (verdict.allowed) return null;
      objection ??= { outcome: "refused", code: verdict.code, reason: verdict.reason };
    } catch (error) {
      if (!(error instanceof EmissaryError)) throw error;
      // An open answer outweighs a refusal: the holder who was not judged may be allowed.
      objection = { outcome: "retry", code: error.code, reason: error.message, retryAfter: error.retryAfter };
    }
  }
  return objection;
}
