import type { FastifyReply, FastifyRequest } from "fastify";
import { EmissaryError } from "../../model/errors.ts";
import { isRoomAlias, type RoomId } from "../../model/ids.ts";
import { roomIdFrom } from "../../leases/target.ts";
import { param, queryAll } from "../../platform/http/server.ts";
import type { Revision, UpstreamRequest, WholeAnswer } from "../../platform/http/upstream.ts";
import { viaOf } from "../../platform/http/via.ts";
import { CLIENT_V1, CLIENT_V3, pathWith, tokenOf, upstreamRequest, type PeekEndpoint, type PeekParts } from "./peek.ts";

/** What a homeserver answers to whoever reads a room that it is not in, or that the reader may not see. */
const REFUSALS: ReadonlySet<number> = new Set([403, 404]);

/** Who wants to read what. */
interface Read {
  readonly roomId: RoomId;
  /** As the client named it. */
  readonly idOrAlias: string;
  readonly request: UpstreamRequest;
  readonly revision: Revision | undefined;
}

/**
 * Has the homeserver answer with the user's own token, so that its own rules of who may see what hold. Only where it refuses is the
 * room opened for the user, and the homeserver asked once more: for everybody who is in the room nothing changes.
 */
export async function readRoom(
  parts: PeekParts,
  request: FastifyRequest,
  reply: FastifyReply,
  idOrAlias: string,
  revision?: Revision,
): Promise<FastifyReply> {
  const token = tokenOf(request);
  const named = isRoomAlias(idOrAlias) ? (await parts.peeker.resolve(idOrAlias, viaOf(request))).roomId : null;
  const roomId = named ?? roomIdFrom(idOrAlias);
  const asked =
    named === null ? upstreamRequest(request) : upstreamRequest(request, pathWith(request, "roomId", roomId));
  const refusal = await parts.upstream.asCallerUnless(REFUSALS, asked, reply, revision);
  if (refusal === null) {
    parts.count("passed");
    if (token !== null) await renew(parts, token, roomId);
    return reply;
  }
  if (token === null) return answer(reply, refusal);
  return open(parts, token, { roomId, idOrAlias, request: asked, revision }, refusal, { request, reply });
}

async function open(
  parts: PeekParts,
  token: string,
  { roomId, idOrAlias, request: asked, revision }: Read,
  refusal: WholeAnswer,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
): Promise<FastifyReply> {
  const identity = await parts.users.identify(token);
  const room = await parts.ledger.room(roomId);
  // We are there already: what the user may not see of it is the homeserver's own word.
  if (identity === null || (room?.ownMembership === "join" && room.load === "loaded")) return answer(reply, refusal);
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort());
  try {
    await parts.peeker.open(identity.userId, await parts.peeker.resolve(idOrAlias, viaOf(request)), gone.signal);
  } catch (error) {
    if (error instanceof EmissaryError) parts.count("refused");
    throw error;
  }
  parts.count("opened");
  return parts.upstream.asCaller(asked, reply, revision);
}

async function renew(parts: PeekParts, token: string, roomId: RoomId): Promise<void> {
  const identity = await parts.users.known(token);
  if (identity !== null) await parts.peeker.renew(identity.userId, roomId);
}

function answer(reply: FastifyReply, { status, headers, body }: WholeAnswer): FastifyReply {
  return reply.code(status).headers(headers).send(body);
}

const READS: readonly (readonly [path: string, under: readonly string[], note: string])[] = [
  ["/rooms/:roomId/initialSync", CLIENT_V3, "legacy peeking: state and newest messages"],
  ["/rooms/:roomId/messages", CLIENT_V3, "history"],
  ["/rooms/:roomId/state", CLIENT_V3, "the whole state"],
  ["/rooms/:roomId/state/:eventType", CLIENT_V3, "one state event's content"],
  ["/rooms/:roomId/state/:eventType/:stateKey", CLIENT_V3, "one state event's content"],
  ["/rooms/:roomId/members", CLIENT_V3, "membership events"],
  ["/rooms/:roomId/joined_members", CLIENT_V3, "joined members"],
  ["/rooms/:roomId/context/:eventId", CLIENT_V3, "an event and those around it"],
  ["/rooms/:roomId/event/:eventId", CLIENT_V3, "one event"],
  ["/rooms/:roomId/aliases", CLIENT_V3, "its aliases here"],
  ["/rooms/:roomId/relations/:eventId", CLIENT_V1, "what refers to an event"],
  ["/rooms/:roomId/relations/:eventId/:relType", CLIENT_V1, "what refers to an event"],
  ["/rooms/:roomId/relations/:eventId/:relType/:eventType", CLIENT_V1, "what refers to an event"],
  ["/rooms/:roomId/threads", CLIENT_V1, "its threads"],
  ["/rooms/:roomId/timestamp_to_event", CLIENT_V1, "the event nearest to a time"],
];

export const readEndpoints: readonly PeekEndpoint[] = [
  ...READS.map(([path, under, note]): PeekEndpoint => ({
    method: "GET",
    path,
    under,
    note,
    handler: (parts, request, reply) => readRoom(parts, request, reply, param(request, "roomId")),
  })),
  {
    method: "GET",
    path: "/events",
    under: CLIENT_V3,
    note: "legacy peeking: live events of one room (`room_id`); without it, the user's own",
    handler: async (parts, request, reply) => {
      const [roomId] = queryAll(request, "room_id");
      if (roomId === undefined) return parts.upstream.asCaller(upstreamRequest(request), reply);
      return readRoom(parts, request, reply, roomIdFrom(roomId));
    },
  },
];
