import { EmissaryError, type ErrorCode } from "../../../model/errors.ts";
import { isRoomAlias, serverOf, type RoomId, type UserId } from "../../../model/ids.ts";
import { stringAt } from "../../../model/json.ts";
import type { LeaseWish } from "../../../model/lease.ts";
import { mergeVia, type Room } from "../../../model/room.ts";
import { resolveWish, roomIdFrom } from "../../../attendance/leases/target.ts";
import { addresseeOf } from "../../../policy/invites.ts";
import { askerOf, goneOf } from "../../../http/callers.ts";
import { readJson } from "../../../http/body.ts";
import { param } from "../../../http/server.ts";
import { viaOf } from "../../../http/via.ts";
import { holderOf } from "../access.ts";
import { answered, type Call, type Endpoint } from "../act.ts";
import { SMALL_BODY_LIMIT } from "../pass.ts";
import { DEVICE_ID } from "../services/encryption.ts";

/** Reasons shown to whoever invited a tenant's user: the tenant declines, or policy forbids the room. */
const DECLINED = "The invite was declined.";
const NOT_HERE = "It cannot take part in this room.";
const FINAL: ReadonlySet<ErrorCode> = new Set(["refused-by-policy", "refused-by-homeserver", "forbidden"]);

/** How long a join, or the making of a room, waits for the pseudouser, milliseconds. Callers' own limits are commonly longer. */
export const JOIN_WAIT_MS = 60_000;

/**
 * Puts a tenant's user into a room: takes the tenant's lease and waits until the pseudouser is in. If both are there
 * already, it asks nobody: a bridge brings in users by the thousand.
 */
export async function joinRoom(call: Call, idOrAlias: string): Promise<RoomId> {
  const { parts, tenant, user, request, reply } = call;
  const holder = holderOf(tenant);
  const { roomId, via: given } = await resolveWish(parts, holder, idOrAlias, viaOf(request), askerOf(reply));
  const alias = isRoomAlias(idOrAlias) ? idOrAlias : null;
  if (alias !== null) await parts.tenants.noteTarget(tenant, alias, roomId);
  const inviter = await inviterOf(call, roomId);
  const via = inviter === null ? given : mergeVia(given, [serverOf(inviter)]);
  const wish = { roomId, holder, alias, via, inviter, ttl: null };
  const room = await parts.ledger.room(roomId);
  if (!(await isHeld(call, wish, room)) || !(await parts.personas.enter(tenant.id, roomId, user))) {
    await allowIfInvited(call, wish, room);
    try {
      await enter(call, wish);
    } catch (error) {
      throw inviter === null ? error : await notLetIn(call, roomId, error);
    }
  }
  // Answers the user's own invite: it is here with its server.
  if (inviter !== null) await parts.standIns.retire(roomId, user, tenant.id, null);
  return roomId;
}

/** Takes the tenant's lease, enters its user, and waits until the keeper sees both. */
export async function enter({ parts, tenant, user, reply }: Call, wish: LeaseWish): Promise<void> {
  let lease = await parts.desk.take(wish);
  // Another of the tenant's users may be the last to leave just now, which releases the lease.
  while (!(await parts.personas.enter(tenant.id, wish.roomId, user))) lease = await parts.desk.take(wish);
  await parts.keeper.untilPresent(lease, JOIN_WAIT_MS, goneOf(reply));
}

/** Takes a tenant's user out of a room. The last one releases the tenant's lease; no event is sent. */
export async function leaveRoom(call: Call, roomId: RoomId, reason: string | null = null): Promise<void> {
  const { parts, tenant, user } = call;
  const left = await parts.personas.exit(tenant.id, roomId, user, parts.clock.now());
  if (left === 0) parts.desk.changed.notify();
  if ((await inviterOf(call, roomId)) !== null) {
    await parts.standIns.retire(roomId, user, tenant.id, reason ?? DECLINED);
  }
}

/** Returns who invited the tenant's user by its own ID; null if nobody did, or the invite is answered. */
async function inviterOf({ parts, user }: Call, roomId: RoomId): Promise<UserId | null> {
  const member = await parts.ledger.member(roomId, user);
  return member?.membership === "invite" ? member.sender : null;
}

/** Refusals after which inviting the pseudouser itself helps. Others do not concern the inviter. */
const CLOSED: ReadonlySet<string> = new Set(["not-visible", "join-rule", "M_FORBIDDEN", "M_UNKNOWN", "M_NOT_FOUND"]);

/** Declines the invite of a user that cannot come in. The error tells the tenant what to do. */
async function notLetIn({ parts, tenant, user }: Call, roomId: RoomId, error: unknown): Promise<unknown> {
  // A temporary failure leaves the invite open for another try.
  if (!(error instanceof EmissaryError) || !FINAL.has(error.code)) return error;
  const isClosed = error.reason !== null && CLOSED.has(error.reason);
  await parts.standIns.retire(roomId, user, tenant.id, isClosed ? null : NOT_HERE);
  if (!isClosed) return error;
  return new EmissaryError(error.code, error.message, {
    reason: error.reason,
    told: `The room lets nobody in that ${user} could bring: have ${parts.own} invited there, with "${tenant.id}" as the reason, and join again.`,
    cause: error,
  });
}

/** Whether the pseudouser is in the room and the tenant has the lease that the wish asks for. */
async function isHeld({ parts }: Call, { roomId, holder, alias }: LeaseWish, room: Room | null): Promise<boolean> {
  if (room?.ownMembership !== "join") return false;
  const lease = await parts.leases.find(roomId, holder);
  return lease !== null && (alias === null || alias === lease.alias);
}

/** Opens the room to a tenant whose user is invited, or to whom the pseudouser's invite is addressed. */
async function allowIfInvited(
  { parts, tenant }: Call,
  { roomId, inviter = null }: LeaseWish,
  room: Room | null,
): Promise<void> {
  const own = room?.ownMembership;
  if (own === "join" || (inviter === null && own !== "invite")) return;
  if (inviter === null && addresseeOf(room?.ownReason ?? null, roomId, parts.tenants.all())?.id !== tenant.id) return;
  const sender = inviter ?? (await parts.ledger.member(roomId, parts.own))?.sender ?? null;
  await parts.tenants.allowInvited(tenant, roomId, sender);
}

/** Joins and leaves of a tenant's users. None of this sends membership events of theirs to a room. */
export const attendanceEndpoints: readonly Endpoint[] = [
  answered(
    "GET /account/whoami",
    "the user that asks: the tenant's sender, or the persona of `user_id`; and its one device",
    async ({ user }) => ({ user_id: user, device_id: DEVICE_ID, is_guest: false }),
  ),
  answered(
    "POST /join/:roomIdOrAlias",
    "takes the tenant's lease and waits until the pseudouser is in the room; at once where it is",
    async (call) => ({ room_id: await joinRoom(call, param(call.request, "roomIdOrAlias")) }),
  ),
  answered("POST /rooms/:roomId/join", "the same, by ID", async (call) => ({
    room_id: await joinRoom(call, roomIdFrom(param(call.request, "roomId"))),
  })),
  answered(
    "POST /rooms/:roomId/leave",
    "the user is out; the last one of the tenant's releases the lease, and after the last lease the pseudouser leaves",
    async (call) => {
      const roomId = roomIdFrom(param(call.request, "roomId"));
      const body = await readJson(call.request, SMALL_BODY_LIMIT);
      await leaveRoom(call, roomId, stringAt(body, "reason"));
      return {};
    },
  ),
  answered(
    "POST /rooms/:roomId/forget",
    "nothing is to be forgotten; refused while the user is in the room",
    async ({ parts, tenant, user, request }) => {
      const roomId = roomIdFrom(param(request, "roomId"));
      if (await parts.personas.isIn(tenant.id, roomId, user)) {
        throw new EmissaryError("bad-request", `${user} is in ${roomId}: leave the room before forgetting it.`);
      }
      return {};
    },
  ),
  answered("GET /joined_rooms", "the rooms that the user is in", async ({ parts, tenant, user }) => ({
    joined_rooms: await parts.personas.roomsOf(tenant.id, user),
  })),
];
