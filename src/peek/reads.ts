import { tokenOf } from "../http/bearer.ts";
import { CLIENT_V1, CLIENT_V3 } from "../http/client-paths.ts";
import { askerOf, goneOf } from "../http/callers.ts";
import type { FastifyReply, FastifyRequest } from "fastify";
import { EmissaryError } from "../model/errors.ts";
import { isRoomAlias, type RoomId, type ServerName, type UserId } from "../model/ids.ts";
import { isReadable, isShown, opennessOf } from "../policy/openness.ts";
import { roomIdFrom } from "../attendance/leases/target.ts";
import { param, queryAll } from "../http/server.ts";
import { sendWhole, upstreamRequest, type Revision, type UpstreamRequest, type WholeAnswer } from "../http/upstream.ts";
import { viaOf } from "../http/via.ts";
import type { Identity } from "./contracts.ts";
import { withoutOurTokens } from "./msc2753/token.ts";
import { pathWith, type PeekEndpoint, type PeekParts } from "./peek.ts";
import type { PeekTarget } from "./peeker.ts";
import { refuseLook } from "./refused-look.ts";

/** What a homeserver answers to whoever reads a room that it is not in, or that the reader may not see. */
const REFUSALS: ReadonlySet<number> = new Set([403, 404]);
/** A longer poll is no reason for a longer lease. */
const LONGEST_POLL_MS = 5 * 60_000;

/** How a read shows that its user looks into the room. */
export interface ReadManner {
  readonly revision?: Revision;
  /** It is what a client asks to look into a room, or to go on looking: it takes a lease where there is none. */
  readonly isPeek?: boolean;
  /** Milliseconds that the homeserver may take to answer, since it waits for news. */
  readonly poll?: number;
  /** What the read is answered where all who are strangers to the room share one answer; null where its user is not told that. */
  readonly shared?: () => Promise<Buffer | null>;
}

/** One request on its way. */
interface Read extends ReadManner {
  readonly token: string;
  readonly roomId: RoomId;
  readonly asked: UpstreamRequest;
  readonly via: readonly ServerName[];
  /** Where the client named the room by an alias, which was looked up. */
  readonly target: PeekTarget | null;
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
  // The answer goes first; and it shows that the token is somebody's, so that a remembered owner is good enough.
  const isAnswered = reply.statusCode < 300;
  if (!isPoll && isAnswered) reply.raw.once("close", () => void keep(parts, read, () => parts.users.identify(token)));
  return reply;
}

async function open(parts: PeekParts, read: Read, refusal: WholeAnswer, reply: FastifyReply): Promise<FastifyReply> {
  const { token, roomId, asked, revision, via } = read;
  let opened: Identity | null = null;
  try {
    // The homeserver has just refused the room and not the token, so that a remembered owner is good enough.
    const identity = await parts.users.identify(token);
    if (identity !== null && !(await isItsLastWord(parts, read, identity.userId, refusal.status))) {
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

/**
 * Clients that load members lazily ask for them `at` their last sync. That was before the pseudouser came, and of that time the homeserver
 * knows no members: it is asked for those of now.
 */
function onceOpened(asked: UpstreamRequest): UpstreamRequest {
  const [path = "", query] = asked.path.split("?", 2);
  if (query === undefined || !path.endsWith("/members")) return asked;
  const rest = query.split("&").filter((part) => !part.startsWith("at="));
  return { ...asked, path: rest.length === 0 ? path : `${path}?${rest.join("&")}` };
}

/** Whether the homeserver's refusal would be the same with the pseudouser in the room. */
async function isItsLastWord(
  { ledger, users }: PeekParts,
  { token, roomId }: Read,
  userId: UserId,
  status: number,
): Promise<boolean> {
  const room = await ledger.room(roomId);
  if (room?.ownMembership === "join") {
    if (room.load !== "loaded") return false;
    // Where we are, all who may look in can. But we may have come since it was asked.
    const isMember = (await ledger.member(roomId, userId))?.membership === "join";
    const openness = opennessOf(room);
    if (isMember) return true;
    // With a hidden room it goes on as with one that we are not in: policy gives the answer.
    if (isShown(openness)) return !isReadable(openness);
  }
  // Not found can be the room, or what is asked for in it.
  return status === 404 && (await users.sees(token, roomId));
}

/**
 * Has the pseudouser stay in the room while its user, who is not in it, reads. Nobody waits for this, so it fails in silence.
 * @param owner whose the token is, asked where a lease is taken or begins anew: most reads come while it lasts long enough
 * @param polled the answer to a read that waits for news: until it is over the look is in use
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
      if (isPeek && poll === undefined) await openStale(parts, read, owner);
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
    // The user has its answer. Where the lease is over before the next read, that one opens the room again.
  }
}

/**
 * Who was in a room and left is shown it as it was then, for ever (Synapse: `check_user_in_room_or_world_readable`), also where no user of
 * ours is there any more. A look at such a snapshot opens the room like one that is refused, as far as the homeserver then shows it.
 */
async function openStale(
  { users, peeker, peekedRooms }: PeekParts,
  { token, roomId, via }: Read,
  owner: () => Promise<Identity | null>,
): Promise<void> {
  const identity = await owner();
  if (identity === null) return;
  const { signal } = new AbortController();
  const membership = await peekedRooms.membership(token, roomId, identity.userId, signal);
  if (membership !== "leave" || (await users.has(token, roomId))) return;
  await peeker.open(identity.userId, await peeker.resolve(roomId, via), signal);
}

/** What a poll may name and be answered as all others: with anything else it is the homeserver that knows what it means. */
const OF_POLLS: ReadonlySet<string> = new Set([
  "room_id",
  "from",
  "timeout",
  "access_token",
  "via",
  "include_pseudousers",
]);

async function sharedPoll(
  { polls }: PeekParts,
  request: FastifyRequest,
  reply: FastifyReply,
  wait: number,
): Promise<Buffer | null> {
  const names = Object.keys(request.query as object);
  const token = tokenOf(request);
  const [[roomId = ""], [from]] = [queryAll(request, "room_id"), queryAll(request, "from")];
  if (token === null || from === undefined || names.some((name) => !OF_POLLS.has(name))) return null;
  return polls.answer({ token, roomId: roomIdFrom(roomId), from, wait, gone: goneOf(reply) });
}

const READS: readonly (readonly [path: string, under: readonly string[], note: string, manner?: ReadManner])[] = [
  ["/rooms/:roomId/initialSync", CLIENT_V3, "legacy peeking: state and newest messages", { isPeek: true }],
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
  ...READS.map(([path, under, note, manner]): PeekEndpoint => ({
    method: "GET",
    path,
    under,
    note,
    handler: (parts, request, reply) => readRoom(parts, request, reply, param(request, "roomId"), manner),
  })),
  {
    method: "GET",
    path: "/events",
    under: CLIENT_V3,
    note: "legacy peeking: live events of one room (`room_id`); without it, the user's own",
    handler: async (parts, request, reply) => {
      const [roomId] = queryAll(request, "room_id");
      if (roomId === undefined) return parts.upstream.asCaller(upstreamRequest(request), reply);
      const timeout = Number(queryAll(request, "timeout")[0] ?? 0);
      const poll = Math.min(Math.max(timeout, 0) || 0, LONGEST_POLL_MS);
      const shared = (): Promise<Buffer | null> => sharedPoll(parts, request, reply, poll);
      return readRoom(parts, request, reply, roomIdFrom(roomId), { isPeek: true, poll, shared });
    },
  },
];
