import type { FastifyReply, FastifyRequest } from "fastify";
import { EmissaryError } from "../../../model/errors.ts";
import { isRoomAlias, type RoomAlias, type RoomId } from "../../../model/ids.ts";
import type { Lease, LeaseWish } from "../../../model/lease.ts";
import type { Room } from "../../../model/room.ts";
import { resolveWish, roomIdFrom } from "../../../leases/target.ts";
import { addresseeOf } from "../../../policy/invites.ts";
import { askerOf } from "../../../platform/http/callers.ts";
import { param } from "../../../platform/http/server.ts";
import { viaOf } from "../../../platform/http/via.ts";
import type { ActParts, Endpoint } from "../act.ts";
import { holderOf, type Caller } from "../caller.ts";

/** How long a join waits for the pseudouser to be in the room, milliseconds. Callers' own limits are commonly longer. */
const JOIN_WAIT_MS = 60_000;

/**
 * Puts a user of a tenant into a room: the tenant has a lease there afterwards, and the pseudouser is in. Where that is so already
 * nothing is asked of anybody: a bridge brings its users in by the thousand.
 * @throws EmissaryError what resolving, policy, or the homeserver have against it; `timeout` while the join is under way
 */
export async function joinRoom(
  parts: ActParts,
  { tenant, user }: Caller,
  idOrAlias: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<RoomId> {
  const holder = holderOf(tenant);
  const asker = askerOf(reply);
  const { roomId, via } = await resolveWish(parts, holder, idOrAlias, viaOf(request), asker);
  const alias = aliasOf(idOrAlias);
  if (alias !== null) await parts.tenants.noteTarget(tenant, alias, roomId);
  const wish: LeaseWish = { roomId, holder, alias, via, ttl: null };
  const room = await parts.ledger.room(roomId);
  const held = await heldLease(parts, wish, room);
  if (held !== null && (await parts.personas.enter(tenant.id, roomId, user))) return roomId;
  await allowIfInvited(parts, tenant.id, wish, room);
  let lease = await parts.desk.take(wish);
  // Another of the tenant's users may leave as the last one just now, and give the lease back.
  while (!(await parts.personas.enter(tenant.id, roomId, user))) lease = await parts.desk.take(wish);
  await parts.keeper.untilPresent(lease, JOIN_WAIT_MS, asker.abort);
  return roomId;
}

/** Takes a user of a tenant out of a room. The last one gives the tenant's lease back; no event is sent for any of them. */
export async function leaveRoom(parts: ActParts, { tenant, user }: Caller, roomId: RoomId): Promise<void> {
  const left = await parts.personas.exit(tenant.id, roomId, user, parts.clock.now());
  if (left === 0) parts.desk.changed.notify();
}

/** The tenant's lease, where the pseudouser is in the room and the lease says all that the wish does. */
async function heldLease(
  parts: ActParts,
  { roomId, holder, alias }: LeaseWish,
  room: Room | null,
): Promise<Lease | null> {
  if (room?.ownMembership !== "join") return null;
  const lease = await parts.leases.find(roomId, holder);
  return lease !== null && (alias === null || alias === lease.alias) ? lease : null;
}

/** An invite of the pseudouser opens the room to the tenant that it is addressed to. */
async function allowIfInvited(
  parts: ActParts,
  tenantId: string,
  { roomId }: LeaseWish,
  room: Room | null,
): Promise<void> {
  if (room?.ownMembership !== "invite") return;
  const addressee = addresseeOf(room.ownReason, roomId, parts.tenants.all());
  if (addressee?.id !== tenantId) return;
  const inviter = (await parts.ledger.member(roomId, parts.own))?.sender ?? null;
  await parts.tenants.allowInvited(addressee, roomId, inviter);
}

function aliasOf(idOrAlias: string): RoomAlias | null {
  return isRoomAlias(idOrAlias) ? idOrAlias : null;
}

/** The being in rooms of a tenant's users. None of this puts a membership event of theirs into any room. */
export const attendanceEndpoints: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/account/whoami",
    how: "answered",
    note: "the user that asks: the tenant's sender, or the persona of `user_id`",
    handler: async (_parts, { user }) => ({ user_id: user, is_guest: false }),
  },
  {
    method: "POST",
    path: "/join/:roomIdOrAlias",
    how: "answered",
    note: "takes the tenant's lease and waits until the pseudouser is in the room; at once where it is",
    handler: async (parts, caller, request, reply) => ({
      room_id: await joinRoom(parts, caller, param(request, "roomIdOrAlias"), request, reply),
    }),
  },
  {
    method: "POST",
    path: "/rooms/:roomId/join",
    how: "answered",
    note: "the same, by ID",
    handler: async (parts, caller, request, reply) => ({
      room_id: await joinRoom(parts, caller, roomIdFrom(param(request, "roomId")), request, reply),
    }),
  },
  {
    method: "POST",
    path: "/rooms/:roomId/leave",
    how: "answered",
    note: "the user is out; the last one of the tenant's releases the lease, and after the last lease the pseudouser leaves",
    handler: async (parts, caller, request) => {
      await leaveRoom(parts, caller, roomIdFrom(param(request, "roomId")));
      return {};
    },
  },
  {
    method: "POST",
    path: "/rooms/:roomId/forget",
    how: "answered",
    note: "nothing is to be forgotten; refused while the user is in the room",
    handler: async (parts, { tenant, user }, request) => {
      const roomId = roomIdFrom(param(request, "roomId"));
      if (await parts.personas.isIn(tenant.id, roomId, user)) {
        throw new EmissaryError("bad-request", `${user} is in ${roomId}: leave the room before forgetting it.`);
      }
      return {};
    },
  },
  {
    method: "GET",
    path: "/joined_rooms",
    how: "answered",
    note: "the rooms that the user is in",
    handler: async (parts, { tenant, user }) => ({ joined_rooms: await parts.personas.roomsOf(tenant.id, user) }),
  },
];
