import { EmissaryError } from "../model/errors.ts";
import { isRoomAlias, isRoomId, type RoomId } from "../model/ids.ts";
import { holderText, type Holder } from "../model/lease.ts";
import { isPseudouser } from "../masking/masking.ts";
import { resolveRoom, resolveWish } from "../attendance/leases/target.ts";
import type { AdminParts } from "./admin.ts";
import type { AdminAnswer } from "./api/endpoints.ts";
import type { RoomLine } from "./contracts.ts";
import type { Handlers } from "./handlers.ts";
import { nextOf } from "./page.ts";

/** The operator's lease: there is one operator. */
const OPERATOR: Holder = { kind: "operator", name: "operator" };
/** Longest wait of `rooms join` for the outcome, in milliseconds. */
const JOIN_WAIT_MS = 60_000;

export function roomHandlers(parts: AdminParts): Handlers<"rooms" | "room" | "roomJoin" | "roomLeave" | "members"> {
  return {
    async rooms({ query: { after, limit } }) {
      const lines = await parts.overview.lines(after, limit);
      return { rooms: lines.map(roomJson), next: nextOf(lines, limit, ({ roomId }) => roomId) };
    },
    async room({ params }) {
      const roomId = await knownRoom(parts, params.room);
      const line = await parts.overview.line(roomId);
      const room = await parts.ledger.room(roomId);
      if (line === null || room === null) throw unknownRoom(roomId);
      return {
        ...roomJson(line),
        room_type: room.roomType,
        replacement: room.replacement,
        predecessor: room.predecessor,
        via: room.via,
        members: await parts.overview.memberCounts(roomId),
        cool_down: await coolDownJson(parts, roomId),
        invited_by: line.ownMembership === "invite" ? await inviter(parts, roomId) : null,
      };
    },
    async roomJoin({ params, body, gone }) {
      const { roomId, via } = await resolveWish(parts, OPERATOR, params.room, body.via);
      const lease = await parts.desk.take({ roomId, holder: OPERATOR, via, ttl: null });
      await parts.keeper.untilPresent(lease, JOIN_WAIT_MS, gone);
      return { room_id: roomId, phase: "present" };
    },
    async roomLeave({ params }) {
      const roomId = await knownRoom(parts, params.room);
      const released = await parts.desk.release(roomId, OPERATOR);
      const holders = (await parts.leases.ofRoom(roomId)).map(({ holder }) => holderText(holder));
      return { room_id: roomId, released, holders };
    },
    async members({ params, query: { membership, after, limit } }) {
      const roomId = await knownRoom(parts, params.room);
      const members = await parts.ledger.members(roomId, { membership, after, limit });
      return {
        members: members.map((member) => ({
          user_id: member.userId,
          membership: member.membership,
          displayname: member.displayname,
          event_id: member.eventId,
          pseudouser: isPseudouser(member.userId, [parts.own]),
        })),
        next: nextOf(members, limit, ({ userId }) => userId),
      };
    },
  };
}

type RoomInFull = AdminAnswer<"room">;

/** Returns the room that the path names by ID or alias. It must be in the ledger. */
async function knownRoom(parts: AdminParts, text: string): Promise<RoomId> {
  if (!isRoomId(text) && !isRoomAlias(text)) {
    throw new EmissaryError("bad-parameter", `${JSON.stringify(text)} is neither a room ID nor a room alias.`);
  }
  const { roomId } = await resolveRoom(text, [], parts.aliases);
  if ((await parts.ledger.room(roomId)) === null) throw unknownRoom(roomId);
  return roomId;
}

function unknownRoom(roomId: RoomId): EmissaryError {
  return new EmissaryError("not-found", `Nothing is known here of ${roomId}: the pseudouser never was in it.`);
}

async function coolDownJson({ guard, clock }: AdminParts, roomId: RoomId): Promise<RoomInFull["cool_down"]> {
  const coolDown = await guard.coolDowns.of(roomId, clock.now());
  if (coolDown === null) return null;
  const { code, reason, until, strikes } = coolDown;
  return { code, reason, until, strikes };
}

async function inviter({ ledger, own }: AdminParts, roomId: RoomId): Promise<string | null> {
  return (await ledger.member(roomId, own))?.sender ?? null;
}

function roomJson(line: RoomLine): AdminAnswer<"rooms">["rooms"][number] {
  return {
    room_id: line.roomId,
    name: line.name,
    canonical_alias: line.canonicalAlias,
    phase: line.phase,
    since: line.since,
    own_membership: line.ownMembership,
    joined_members: line.joinedMembers,
    join_rule: line.joinRule,
    history_visibility: line.historyVisibility,
    encryption: line.encryption,
    version: line.version,
    load: line.load,
    gap: line.gap,
    code: line.code,
    reason: line.reason,
    leases: line.leases.map(({ holder, takenAt, expiresAt }) => ({
      holder: holderText(holder),
      taken_at: takenAt,
      expires_at: expiresAt,
    })),
  };
}
