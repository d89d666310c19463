import { EmissaryError } from "../model/errors.ts";
import type { RoomId, ServerName } from "../model/ids.ts";
import type { Lease } from "../model/lease.ts";
import type { Policy } from "../policy/policy.ts";
import type { MoveFailure } from "./contracts.ts";

/**
 * Policy judges a join again just before it is made: it is made if policy allows it to one of the leases' holders. Null where it
 * does; else why not, or that policy could not tell now.
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
    // Tenants differ in what they are allowed, and holders of other kinds do not; rules know the names that a room goes by.
    const who = `${holder.kind} ${holder.kind === "tenant" ? holder.name : ""} ${alias ?? ""}`;
    if (asked.has(who)) continue;
    asked.add(who);
    try {
      const verdict = await policy.judge({ roomId, holder, via, alias, upgrades }, "join");
      if (verdict.allowed) return null;
      objection ??= { outcome: "refused", code: verdict.code, reason: verdict.reason };
    } catch (error) {
      if (!(error instanceof EmissaryError)) throw error;
      // Not knowing outweighs a refusal: the one who was not judged may be the one who is allowed.
      objection = { outcome: "retry", code: error.code, reason: error.message, retryAfter: error.retryAfter };
    }
  }
  return objection;
}
