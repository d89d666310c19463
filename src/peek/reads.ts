import { tokenOf } from "../http/bearer.ts";
import { CLIENT_EVERY, CLIENT_V1_EVERY } from "../http/client-paths.ts";
import { askerOf, goneOf } from "../http/callers.ts";
import type { FastifyReply, FastifyRequest } from "fastify";
import { EmissaryError } from "../model/errors.ts";
import { isRoomAlias, type RoomId, type ServerName, type UserId } from "../model/ids.ts";
import { isReadable, isShown, opennessOf } from "../policy/openness.ts";
import { roomIdFrom } from "../attendance/leases/target.ts";
import { MATRIX_ERRORS, matrixErrorBody } from "../http/matrix-errors.ts";
import { param, queryAll } from "../http/server.ts";
import { sendWhole, upstreamRequest, type Revision, type UpstreamRequest, type WholeAnswer } from "../http/upstream.ts";
import { viaOf } from "../http/via.ts";
import { withoutOurTokens } from "./msc2753/token.ts";
import { pathWith, type PeekHandler, type PeekParts, type PeekRow } from "./peek.ts";
import type { PeekTarget } from "./peeker.ts";
import { answeredPoll } from "./shared/rooms.ts";
import type { Identity } from "./users.ts";

/** Statuses by which a homeserver refuses a reader a room that it is not in, or that the reader may not see. */
const REFUSALS: ReadonlySet<number> = new Set([403, 404]);
/** Longest time by which a poll extends a lease. */
const LONGEST_POLL_MS = 5 * 60_000;

/** How a read shows that its user looks into the room. */
export interface ReadManner {
  readonly revision?: Revision;
  /** Whether clients use this read to start or continue a look. It takes a lease if there is none. */
  readonly isPeek?: boolean;
  /** How long the homeserver may wait for news before it answers, in milliseconds. */
  readonly poll?: number;
  /** Returns the answer shared by all strangers to the room; null if it is not for this user. */
  readonly shared?: () => Promise<Buffer | null>;
}

interface Read extends ReadManner {
  readonly token: string;
  readonly roomId: RoomId;
  readonly asked: UpstreamRequest;
  readonly via: readonly ServerName[];
  /** Set if the client named the room by an alias, which was resolved. */
  readonly target: PeekTarget | null;
}

/**
 * Lets the homeserver answer with the user's own token, so its access rules apply. Only if it refuses, Emissary opens
 * the room for the user and asks again. Nothing changes for members of the room.
 */
export async function readRoom(
  parts: PeekParts,
  request: FastifyRequest,
  reply: FastifyReply,
  idOrAlias: string,
  manner: ReadManner = {},
): Promise<FastifyReply> {
  const token = tokenOf(request);
  if (token === null) return parts.upstream.asCaller(upstreamRequest(request), reply, manner.revision);
  let target: PeekTarget | null = null;
  try {
    if (isRoomAlias(idOrAlias)) target = await parts.peeker.resolve(idOrAlias, viaOf(request), askerOf(reply));
  } catch (error) {
    return refuseLook(error, reply);
  }
  const roomId = target?.roomId ?? roomIdFrom(idOrAlias);
  const path = withoutOurTokens(target === null ? (request.raw.url ?? "/") : pathWith(request, "roomId", roomId));
  const read: Read = { ...manner, token, roomId, target, asked: upstreamRequest(request, path), via: viaOf(request) };
  // While a poll waits, nothing else shows that its user is there.
  const isPoll = manner.poll !== undefined;
  if (isPoll) void keep(parts, read, () => parts.users.identifyNow(token), reply);
  const shared = (await manner.shared?.()) ?? null;
  if (shared !== null) {
    parts.count("passed");
    return parts.upstream.given(shared, reply);
  }
  const refusal = await parts.upstream.asCallerUnless(REFUSALS, read.asked, reply, manner.revision);
  if (refusal !== null) return open(parts, read, refusal, reply);
  parts.count("passed");
  // The answer goes first. It proves that the token is valid, so a remembered owner is good enough.
  const isAnswered = reply.statusCode < 300;
  if (!isPoll && isAnswered) reply.raw.once("close", () => void keep(parts, read, () => parts.users.identify(token)));
  return reply;
}

async function open(parts: PeekParts, read: Read, refusal: WholeAnswer, reply: FastifyReply): Promise<FastifyReply> {
  const { token, roomId, asked, revision, via } = read;
  let opened: Identity | null = null;
  try {
    // The homeserver refused the room and not the token, so a remembered owner is good enough.
    const identity = await parts.users.identify(token);
    if (identity !== null && !(await isFinal(parts, read, identity.userId, refusal.status))) {
      const target = read.target ?? (await parts.peeker.resolve(roomId, via));
      await parts.peeker.open(identity.userId, target, goneOf(reply));
      opened = identity;
    }
  } catch (error) {
    if (error instanceof EmissaryError) parts.count("refused");
    return refuseLook(error, reply);
  }
  if (opened === null) return sendWhole(reply, refusal);
  parts.count("opened");
  if (read.poll !== undefined) void keep(parts, read, async () => opened, reply);
  return parts.upstream.asCaller(onceOpened(asked), reply, revision);
}

/** Drops `at` (the last sync) from a request for members. The homeserver knows none before the pseudouser came. */
function onceOpened(asked: UpstreamRequest): UpstreamRequest {
  const [path = "", query] = asked.path.split("?", 2);
  if (query === undefined || !path.endsWith("/members")) return asked;
  const rest = query.split("&").filter((part) => !part.startsWith("at="));
  return { ...asked, path: rest.length === 0 ? path : `${path}?${rest.join("&")}` };
}

/** Whether the homeserver would refuse this even with the pseudouser in the room. */
async function isFinal(parts: PeekParts, { token, roomId }: Read, userId: UserId, status: number): Promise<boolean> {
  const { ledger, users } = parts;
  const room = await ledger.room(roomId);
  if (room?.ownMembership === "join") {
    if (room.load !== "loaded") return false;
    // If we are in the room, everybody who may look in can. But we may have come after the homeserver was asked.
    if ((await ledger.member(roomId, userId))?.membership === "join") return true;
    const openness = opennessOf(room);
    // A hidden room is treated like a room that we are not in: policy answers.
    if (isShown(openness)) return !isReadable(openness);
  }
  // A 404 can mean the room, or what was requested in it.
  return status === 404 && (await users.sees(token, roomId));
}

/**
 * Keeps the pseudouser in the room while a user who is not a member reads. Nobody waits, so it fails silently.
 * @param owner returns the token's owner; called only if a lease is taken or renewed
 * @param polled the reply to a read that waits for news; the look is in use until it closes
 */
async function keep(
  parts: PeekParts,
  read: Read,
  owner: () => Promise<Identity | null>,
  polled: FastifyReply | null = null,
): Promise<void> {
  const { ledger, users, peeker } = parts;
  const { token, roomId, isPeek = false, poll } = read;
  const polling = ({ userId }: Identity): void => {
    if (polled !== null && !polled.raw.closed) polled.raw.once("close", peeker.polling(userId, roomId));
  };
  try {
    const room = await ledger.room(roomId);
    if (room?.ownMembership !== "join") {
      if (isPeek && poll === undefined) await openStale(parts, read, await owner());
      return;
    }
    const known = await users.known(token);
    if (known !== null) polling(known);
    if (known !== null && peeker.isLongEnough(known.userId, roomId, poll)) return;
    const identity = known === null && !isPeek ? null : await owner();
    if (identity === null || (await ledger.member(roomId, identity.userId))?.membership === "join") return;
    if (known === null) polling(identity);
    if (isPeek) await peeker.keep(identity.userId, room, poll);
    else await peeker.renew(identity.userId, roomId, poll);
  } catch {
    // The user has the answer. If the lease ends before the next read, that read opens the room again.
  }
}

/**
 * Opens the room for a user who left it and reads an old snapshot. Homeservers show former members the room as they
 * left it, for ever (Synapse: `check_user_in_room_or_world_readable`), even if no local user remains.
 */
async function openStale(parts: PeekParts, { token, roomId, via }: Read, owner: Identity | null): Promise<void> {
  const { users, peeker, peekedRooms } = parts;
  if (owner === null) return;
  const { signal } = new AbortController();
  const membership = await peekedRooms.membership(token, roomId, owner.userId, signal);
  if (membership !== "leave" || (await users.has(token, roomId))) return;
  await peeker.open(owner.userId, await peeker.resolve(roomId, via), signal);
}

/** Query parameters of polls that can share an answer. A poll with any other goes to the homeserver. */
const OF_POLLS = /^(?:room_id|from|timeout|access_token|via|include_pseudousers)$/;

/** This status and higher ones mean "not now". */
const NOT_NOW = 429;

/**
 * Answers a failed look with 403. Clients know that answer and offer to join; on any other (429, 502, 504) Element
 * shows "Loading…" for ever (element-web, RoomView: `M_FORBIDDEN`, `M_GUEST_ACCESS_FORBIDDEN`). The body has our own
 * code, the reason in words and when to retry.
 * @throws the error itself if clients understand its status, or if it is a fault and no refusal
 */
function refuseLook(error: unknown, reply: FastifyReply): FastifyReply {
  if (!(error instanceof EmissaryError) || error.code === "internal" || error.code === "bad-config") throw error;
  if (MATRIX_ERRORS[error.code][0] < NOT_NOW) throw error;
  return reply.code(403).send({ ...matrixErrorBody(error, "strangers"), errcode: "M_FORBIDDEN" });
}

/** Reads that differ in nothing but their path. */
const READS: readonly (readonly [path: string, under: readonly string[], note: string, manner?: ReadManner])[] = [
  ["/rooms/:roomId/initialSync", CLIENT_EVERY, "legacy peeking: state and newest messages", { isPeek: true }],
  ["/rooms/:roomId/messages", CLIENT_EVERY, "history"],
  ["/rooms/:roomId/state", CLIENT_EVERY, "the whole state"],
  ["/rooms/:roomId/state/:eventType", CLIENT_EVERY, "one state event's content"],
  ["/rooms/:roomId/state/:eventType/:stateKey", CLIENT_EVERY, "one state event's content"],
  ["/rooms/:roomId/members", CLIENT_EVERY, "membership events"],
  ["/rooms/:roomId/joined_members", CLIENT_EVERY, "joined members"],
  ["/rooms/:roomId/context/:eventId", CLIENT_EVERY, "an event and those around it"],
  ["/rooms/:roomId/event/:eventId", CLIENT_EVERY, "one event"],
  ["/rooms/:roomId/aliases", CLIENT_EVERY, "its aliases here"],
  ["/rooms/:roomId/relations/:eventId", CLIENT_V1_EVERY, "what refers to an event"],
  ["/rooms/:roomId/relations/:eventId/:relType", CLIENT_V1_EVERY, "what refers to an event"],
  ["/rooms/:roomId/relations/:eventId/:relType/:eventType", CLIENT_V1_EVERY, "what refers to an event"],
  ["/rooms/:roomId/threads", CLIENT_V1_EVERY, "its threads"],
  ["/rooms/:roomId/timestamp_to_event", CLIENT_V1_EVERY, "the event nearest to a time"],
];

const liveEvents: PeekHandler = async (parts, request, reply) => {
  const [named] = queryAll(request, "room_id");
  if (named === undefined) return parts.upstream.asCaller(upstreamRequest(request), reply);
  const roomId = roomIdFrom(named);
  const timeout = Number(queryAll(request, "timeout")[0] ?? 0);
  const poll = Math.min(Math.max(timeout, 0) || 0, LONGEST_POLL_MS);
  const shared = async (): Promise<Buffer | null> => {
    const token = tokenOf(request);
    const [from] = queryAll(request, "from");
    const isCommon = Object.keys(request.query as object).every((name) => OF_POLLS.test(name));
    if (token === null || from === undefined || !isCommon) return null;
    return answeredPoll(parts.polls, { token, roomId, from, wait: poll, gone: goneOf(reply) });
  };
  return readRoom(parts, request, reply, roomId, { isPeek: true, poll, shared });
};

export const readRows: readonly PeekRow[] = [
  ...READS.map(([path, under, note, manner]): PeekRow => {
    const read: PeekHandler = (parts, request, reply) =>
      readRoom(parts, request, reply, param(request, "roomId"), manner);
    return ["GET", path, under, note, read];
  }),
  [
    "GET",
    "/events",
    CLIENT_EVERY,
    "legacy peeking: live events of one room (`room_id`); without it, the user's own",
    liveEvents,
  ],
];
