import { EmissaryError } from "../../model/errors.ts";
import type { RoomId } from "../../model/ids.ts";
import type { Room } from "../../model/room.ts";
import type { Tenant } from "../../model/tenant.ts";
import type { Ledger } from "../../ledger/ledger.ts";
import type { LeaseStore } from "../../leases/desk.ts";
import { holderOf } from "./caller.ts";

/** What a tenant's right to a room rests on. */
export interface AccessParts {
  readonly leases: Pick<LeaseStore, "find" | "lastEnd">;
  readonly ledger: Pick<Ledger, "room">;
}

/**
 * The room, if the tenant has a lease there and the pseudouser is in it. The pseudouser may be in the room for others: without a
 * lease of its own a tenant sees nothing of it.
 * @throws EmissaryError `no-lease`
 */
export async function requireRoom(parts: AccessParts, tenant: Tenant, roomId: RoomId): Promise<Room> {
  const holder = holderOf(tenant);
  if ((await parts.leases.find(roomId, holder)) === null) {
    const end = await parts.leases.lastEnd(roomId, holder);
    throw new EmissaryError(
      "no-lease",
      end === null || end === "released"
        ? `Tenant ${tenant.id} is not in ${roomId}: join it first.`
        : `Tenant ${tenant.id} is no longer in ${roomId} (${end}).`,
      end === null ? {} : { reason: end },
    );
  }
  const room = await parts.ledger.room(roomId);
  if (room?.ownMembership !== "join") {
    throw new EmissaryError("no-lease", `The pseudouser is not yet in ${roomId}; the join is under way.`, {
      reason: "joining",
    });
  }
  return room;
}
