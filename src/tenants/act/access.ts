import { EmissaryError } from "../../model/errors.ts";
import type { RoomAlias, RoomId } from "../../model/ids.ts";
import type { Lease } from "../../model/lease.ts";
import type { Room } from "../../model/room.ts";
import type { Tenant, TenantAction } from "../../model/tenant.ts";
import type { Ledger } from "../../ledger/ledger.ts";
import type { LeaseStore } from "../../attendance/store/leases.ts";
import { isOpen, opennessOf } from "../../policy/openness.ts";
import { goesByAlias, objectionTo } from "../../policy/permit.ts";
import type { Pointers } from "../../policy/pointers.ts";
import { holderOf, type Caller } from "./caller.ts";

/** What a tenant's right to a room depends on. */
export interface AccessParts {
  readonly leases: Pick<LeaseStore, "find" | "lastEnd">;
  readonly ledger: Pick<Ledger, "room">;
  readonly aliases: Pick<Pointers, "pointing">;
}

/** What a caller wants to do in a room. */
export interface RoomDeed {
  readonly action: TenantAction;
  /** The event type, for `send`, `state` and `room-state`. */
  readonly type?: string;
}

/**
 * Returns the room if the tenant has a lease there, the pseudouser is in it, and the operator allows the deed. The
 * pseudouser may be there for others: without a lease a tenant sees nothing of the room.
 * @throws EmissaryError `no-lease`, `forbidden`
 */
export async function requireDeed(
  parts: AccessParts,
  { tenant }: Caller,
  roomId: RoomId,
  deed: RoomDeed,
): Promise<Room> {
  const { room, lease } = await requireRoom(parts, tenant, roomId);
  const objection = objectionTo(tenant, {
    action: deed.action,
    room: { id: roomId, alias: await askedBy(parts, tenant, lease), isPublic: isOpen(opennessOf(room)) },
    type: deed.type ?? null,
    createdFor: room.createdFor,
  });
  if (objection !== null) throw notAllowed(tenant, deed.action, `in ${roomId}`, objection);
  return room;
}

/** The same if any one of several actions is enough. @throws EmissaryError why the first is not allowed */
export async function requireAnyDeed(
  parts: AccessParts,
  caller: Caller,
  roomId: RoomId,
  [first, ...others]: readonly [TenantAction, ...TenantAction[]],
): Promise<Room> {
  try {
    return await requireDeed(parts, caller, roomId, { action: first });
  } catch (error) {
    const [next, ...more] = others;
    if (next === undefined || !(error instanceof EmissaryError) || error.reason !== "not-allowed") throw error;
    return requireAnyDeed(parts, caller, roomId, [next, ...more]).catch((other: unknown) => {
      throw other instanceof EmissaryError && other.reason === "not-allowed" ? error : other;
    });
  }
}

/** For deeds outside existing rooms: making rooms and their aliases. @throws EmissaryError `forbidden` */
export function requireAction({ tenant }: Caller, action: TenantAction): void {
  const objection = objectionTo(tenant, { action, room: null, type: null, createdFor: null });
  if (objection !== null) throw notAllowed(tenant, action, "", objection);
}

/** Returns the alias that the tenant asked by, if its right depends on one and the alias still points there. */
async function askedBy({ aliases }: AccessParts, tenant: Tenant, { roomId, alias }: Lease): Promise<RoomAlias | null> {
  if (alias === null || !goesByAlias(tenant, alias)) return null;
  return (await aliases.pointing(alias, roomId, true)) === "there" ? alias : null;
}

function notAllowed(tenant: Tenant, action: TenantAction, where: string, objection: string): EmissaryError {
  return new EmissaryError(
    "forbidden",
    `Tenant ${tenant.id} may not ${[action, where].join(" ").trim()}: ${objection}. The operator can allow it (emissary tenant allow).`,
    { reason: "not-allowed" },
  );
}

async function requireRoom(
  parts: AccessParts,
  tenant: Tenant,
  roomId: RoomId,
): Promise<{ readonly room: Room; readonly lease: Lease }> {
  const holder = holderOf(tenant);
  const lease = await parts.leases.find(roomId, holder);
  if (lease === null) {
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
  return { room, lease };
}
