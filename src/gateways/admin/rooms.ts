import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { EmissaryError } from "../../model/errors.ts";
import { isRoomAlias, isRoomId, isServerName, isUserId, type RoomId } from "../../model/ids.ts";
import type { JsonObject } from "../../model/json.ts";
import { holderText, type Holder } from "../../model/lease.ts";
import { isMembership } from "../../model/membership.ts";
import { isPseudouser } from "../../masking/masking.ts";
import { resolveRoom, resolveWish } from "../../leases/target.ts";
import { readJson } from "../../platform/http/body.ts";
import { param, queryAll, serve } from "../../platform/http/server.ts";
import type { AdminParts } from "./admin.ts";
import type { RoomLine } from "./contracts.ts";
import { pageLimit } from "./page.ts";

/** The operator's lease: there is one operator. */
const OPERATOR: Holder = { kind: "operator", name: "operator" };
/** How long `rooms join` waits for the outcome, milliseconds. */
const JOIN_WAIT_MS = 60_000;

const joinBody = z.strictObject({ via: z.array(z.string().refine(isServerName)).max(20).default([]) });

export function roomRoutes(server: FastifyInstance, base: string, parts: AdminParts): void {
  serve(server, `${base}/rooms`, {
    GET: async (request) => {
      const limit = pageLimit(request, 100);
      const after = queryAll(request, "after")[0] ?? null;
      if (after !== null && !isRoomId(after)) throw new EmissaryError("bad-parameter", "`after` is to be a room ID.");
      const lines = await parts.overview.lines(after, limit);
      return { rooms: lines.map(roomJson), next: lines.length === limit ? (lines.at(-1)?.roomId ?? null) : null };
    },
  });

  serve(server, `${base}/rooms/:room`, {
    GET: async (request) => {
      const roomId = await knownRoom(parts, request);
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
  });

  serve(server, `${base}/rooms/:room/join`, {
    POST: async (request, reply) => {
      const body = joinBody.safeParse(await readJson(request, 64 * 1024));
      if (!body.success) throw new EmissaryError("bad-request", "`via` is to be a list of server names.");
      const { roomId, via } = await resolveWish(parts, OPERATOR, param(request, "room"), body.data.via);
      const lease = await parts.desk.take({ roomId, holder: OPERATOR, via, ttl: null });
      const gone = new AbortController();
      reply.raw.once("close", () => gone.abort());
      await parts.keeper.untilPresent(lease, JOIN_WAIT_MS, gone.signal);
      return { room_id: roomId, phase: "present" };
    },
  });

  serve(server, `${base}/rooms/:room/leave`, {
    POST: async (request) => {
      const roomId = await knownRoom(parts, request);
      const released = await parts.desk.release(roomId, OPERATOR);
      const holders = (await parts.leases.ofRoom(roomId)).map(({ holder }) => holderText(holder));
      return { room_id: roomId, released, holders };
    },
  });

  serve(server, `${base}/rooms/:room/members`, {
    GET: async (request) => {
      const roomId = await knownRoom(parts, request);
      const limit = pageLimit(request, 500);
      const membership = queryAll(request, "membership")[0] ?? null;
      const after = queryAll(request, "after")[0] ?? null;
      if (membership !== null && !isMembership(membership)) {
        throw new EmissaryError("bad-parameter", `${JSON.stringify(membership)} is no membership.`);
      }
      if (after !== null && !isUserId(after)) throw new EmissaryError("bad-parameter", "`after` is to be a user ID.");
      const members = await parts.ledger.members(roomId, { membership, after, limit });
      return {
        members: members.map((member) => ({
          user_id: member.userId,
          membership: member.membership,
          displayname: member.displayname,
          event_id: member.eventId,
          pseudouser: isPseudouser(member.userId, [parts.own]),
        })),
        next: members.length === limit ? (members.at(-1)?.userId ?? null) : null,
      };
    },
  });
}

/** The room that the path names, by ID or alias; it has to be in the ledger. */
async function knownRoom(parts: AdminParts, request: FastifyRequest): Promise<RoomId> {
  const text = param(request, "room");
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

async function coolDownJson({ guard, clock }: AdminParts, roomId: RoomId): Promise<JsonObject | null> {
  const coolDown = await guard.coolDowns.of(roomId, clock.now());
  if (coolDown === null) return null;
  const { code, reason, until, strikes } = coolDown;
  return { code, reason, until, strikes };
}

async function inviter({ ledger, own }: AdminParts, roomId: RoomId): Promise<string | null> {
  return (await ledger.member(roomId, own))?.sender ?? null;
}

function roomJson(line: RoomLine): Readonly<Record<string, unknown>> {
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
