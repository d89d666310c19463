import { EmissaryError } from "../model/errors.ts";
import { isRoomAlias, isRoomId, type RoomId, serverOf, type ServerName } from "../model/ids.ts";
import { holderText, type Holder } from "../model/lease.ts";
import { isPseudouser } from "../masking/masking.ts";
import { resolveRoom, resolveWish } from "../attendance/leases/target.ts";
import type { AdminParts } from "./admin.ts";
import { type Handlers, nextOf } from "./handlers.ts";
import { opennessOf } from "../policy/openness.ts";
import { checkUpgrade, type RoomToMove } from "../policy/upgrade-check.ts";

/** The operator's lease: there is one operator. */
const OPERATOR: Holder = { kind: "operator", name: "operator" };
/** Longest wait of `rooms join` for the outcome, in milliseconds. */
const JOIN_WAIT_MS = 60_000;

export function roomHandlers(
  parts: AdminParts,
): Handlers<"rooms" | "room" | "roomJoin" | "roomLeave" | "members" | "upgradeCheck"> {
  return {
    async rooms({ query: { after, limit } }) {
      const rooms = await parts.overview.lines(after, limit);
      return { rooms, next: nextOf(rooms, limit, ({ room_id: roomId }) => roomId) };
    },
    async room({ params }) {
      const roomId = await knownRoom(parts, params.room);
      const line = await parts.overview.line(roomId);
      const room = await parts.ledger.room(roomId);
      if (line === null || room === null) throw unknownRoom(roomId);
      const { roomType, replacement, predecessor, via } = room;
      const coolDown = await parts.guard.coolDowns.of(roomId, parts.clock.now());
      const inviter = line.own_membership === "invite" ? await parts.ledger.member(roomId, parts.own) : null;
      return {
        ...line,
        room_type: roomType,
        replacement,
        predecessor,
        via,
        members: await parts.overview.memberCounts(roomId),
        cool_down: coolDown,
        invited_by: inviter?.sender ?? null,
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
    async upgradeCheck({ params, query }) {
      const { roomId, via } = await resolveRoom(params.room, query.via, parts.aliases);
      return { room_id: roomId, ...checkUpgrade(await roomToMove(parts, roomId, via)) };
    },
  };
}

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

/** Reads the room from the ledger if we are in it, else from the homeserver. */
async function roomToMove(parts: AdminParts, roomId: RoomId, via: readonly ServerName[]): Promise<RoomToMove> {
  const room = await parts.ledger.room(roomId);
  const vouched = await parts.ledger.hasMemberOf(roomId, serverOf(parts.own));
  if (room?.ownMembership === "join" && room.load === "loaded") {
    const { encryption, canonicalAlias } = room;
    const servers = await parts.overview.servers(roomId);
    return { ...opennessOf(room), encryption, canonicalAlias, servers, vouched };
  }
  const look = await parts.looker.look(roomId, via.length > 0 ? via : (room?.via ?? []));
  if (look === null) {
    throw new EmissaryError(
      "not-found",
      `The homeserver can tell nothing of ${roomId}: it is private, or you must name a server that is in it (--via).`,
    );
  }
  return { ...look, canonicalAlias: room?.canonicalAlias ?? null, servers: null, vouched };
}
