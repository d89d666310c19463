import type { FastifyReply, FastifyRequest } from "fastify";
import { EmissaryError, type ErrorCode } from "../../../model/errors.ts";
import { isRoomAlias, serverOf, type RoomAlias, type RoomId, type UserId } from "../../../model/ids.ts";
import { stringAt } from "../../../model/json.ts";
import type { Lease, LeaseWish } from "../../../model/lease.ts";
import { mergeVia, type Room } from "../../../model/room.ts";
import type { Tenant } from "../../../model/tenant.ts";
import { resolveWish, roomIdFrom } from "../../../attendance/leases/target.ts";
import { addresseeOf } from "../../../policy/invites.ts";
import { askerOf } from "../../../http/callers.ts";
import { readJson } from "../../../http/body.ts";
import { param } from "../../../http/server.ts";
import { viaOf } from "../../../http/via.ts";
import type { ActParts, Endpoint } from "../act.ts";
import { holderOf, type Caller } from "../caller.ts";
import { DEVICE_ID } from "../services/encryption.ts";

const BODY_LIMIT = 16 * 1024;

/** Reasons shown to whoever invited a tenant's user: the tenant declines, or policy forbids the room. */
const DECLINED = "The invite was declined.";
const NOT_HERE = "It cannot take part in this room.";
const FINAL: ReadonlySet<ErrorCode> = new Set(["refused-by-policy", "refused-by-homeserver", "forbidden"]);

/** How long a join waits for the pseudouser, milliseconds. Callers' own limits are commonly longer. */
const JOIN_WAIT_MS = 60_000;

/**
 * Puts a tenant's user into a room: takes the tenant's lease and waits until the pseudouser is in. If both are there
 * already, it asks nobody: a bridge brings in users by the thousand.
 * @throws EmissaryError any refusal of resolving, policy or the homeserver; `timeout` while the join is under way
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
  const { roomId, via: given } = await resolveWish(parts, holder, idOrAlias, viaOf(request), asker);
  const alias = aliasOf(idOrAlias);
  if (alias !== null) await parts.tenants.noteTarget(tenant, alias, roomId);
  const inviter = await inviterOf(parts, roomId, user);
  const via = inviter === null ? given : mergeVia(given, [serverOf(inviter)]);
  const wish: LeaseWish = { roomId, holder, alias, via, inviter, ttl: null };
  const room = await parts.ledger.room(roomId);
  const held = await heldLease(parts, wish, room);
  if (held === null || !(await parts.personas.enter(tenant.id, roomId, user))) {
    await allowIfInvited(parts, tenant, wish, room);
    try {
      let lease = await parts.desk.take(wish);
      // Another of the tenant's users may be the last to leave just now, which releases the lease.
      while (!(await parts.personas.enter(tenant.id, roomId, user))) lease = await parts.desk.take(wish);
      await parts.keeper.untilPresent(lease, JOIN_WAIT_MS, asker.abort);
    } catch (error) {
      throw inviter === null ? error : await notLetIn(parts, { tenant, user }, roomId, error);
    }
  }
  // Answers the user's own invite: it is here with its server.
  if (inviter !== null) await parts.standIns.retire(roomId, user, tenant.id, null);
  return roomId;
}

/** Takes a tenant's user out of a room. The last one releases the tenant's lease; no event is sent. */
export async function leaveRoom(
  parts: ActParts,
  { tenant, user }: Caller,
  roomId: RoomId,
  reason: string | null = null,
): Promise<void> {
  const left = await parts.personas.exit(tenant.id, roomId, user, parts.clock.now());
  if (left === 0) parts.desk.changed.notify();
  if ((await inviterOf(parts, roomId, user)) !== null) {
    await parts.standIns.retire(roomId, user, tenant.id, reason ?? DECLINED);
  }
}

/** Returns who invited the tenant's user by its own ID; null if nobody did, or the invite is answered. */
async function inviterOf({ ledger }: ActParts, roomId: RoomId, user: UserId): Promise<UserId | null> {
  const member = await ledger.member(roomId, user);
  return member?.membership === "invite" ? member.sender : null;
}

/** Refusals after which inviting the pseudouser itself helps. Others do not concern the inviter. */
const CLOSED: ReadonlySet<string> = new Set(["not-visible", "join-rule", "M_FORBIDDEN", "M_UNKNOWN", "M_NOT_FOUND"]);

/** Declines the invite of a user that cannot come in. The error tells the tenant what to do. */
async function notLetIn(
  { own, standIns }: ActParts,
  { tenant, user }: Caller,
  roomId: RoomId,
  error: unknown,
): Promise<unknown> {
  // A temporary failure leaves the invite open for another try.
  if (!(error instanceof EmissaryError) || !FINAL.has(error.code)) return error;
  const isClosed = error.reason !== null && CLOSED.has(error.reason);
  await standIns.retire(roomId, user, tenant.id, isClosed ? null : NOT_HERE);
  if (!isClosed) return error;
  return new EmissaryError(error.code, error.message, {
    reason: error.reason,
    told: `The room lets nobody in that ${user} could bring: have ${own} invited there, with "${tenant.id}" as the reason, and join again.`,
    cause: error,
  });
}

/** Returns the tenant's lease if the pseudouser is in the room and the lease has all that the wish asks for. */
async function heldLease(
  parts: ActParts,
  { roomId, holder, alias }: LeaseWish,
  room: Room | null,
): Promise<Lease | null> {
  if (room?.ownMembership !== "join") return null;
  const lease = await parts.leases.find(roomId, holder);
  return lease !== null && (alias === null || alias === lease.alias) ? lease : null;
}

/** Opens the room to a tenant whose user is invited, or to whom the pseudouser's invite is addressed. */
async function allowIfInvited(
  parts: ActParts,
  tenant: Tenant,
  { roomId, inviter = null }: LeaseWish,
  room: Room | null,
): Promise<void> {
  if (room?.ownMembership === "join") return;
  if (inviter !== null) {
    await parts.tenants.allowInvited(tenant, roomId, inviter);
    return;
  }
  if (room?.ownMembership !== "invite") return;
  if (addresseeOf(room.ownReason, roomId, parts.tenants.all())?.id !== tenant.id) return;
  const sender = (await parts.ledger.member(roomId, parts.own))?.sender ?? null;
  await parts.tenants.allowInvited(tenant, roomId, sender);
}

function aliasOf(idOrAlias: string): RoomAlias | null {
  return isRoomAlias(idOrAlias) ? idOrAlias : null;
}

/** Joins and leaves of a tenant's users. None of this sends membership events of theirs to a room. */
export const attendanceEndpoints: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/account/whoami",
    how: "answered",
    note: "the user that asks: the tenant's sender, or the persona of `user_id`; and its one device",
    handler: async (_parts, { user }) => ({ user_id: user, device_id: DEVICE_ID, is_guest: false }),
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
      const roomId = roomIdFrom(param(request, "roomId"));
      const body = await readJson(request, BODY_LIMIT);
      await leaveRoom(parts, caller, roomId, stringAt(body, "reason"));
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
