import { upstreamRequest } from "../../http/upstream.ts";
import { tokenOf } from "../../http/bearer.ts";
import { askerOf as callerOf, goneOf } from "../../http/callers.ts";
import { CLIENT_V3 } from "../../http/client-paths.ts";
import type { FastifyReply, FastifyRequest } from "fastify";
import { EmissaryError } from "../../model/errors.ts";
import { isServerName, type RoomId } from "../../model/ids.ts";
import type { Lease } from "../../model/lease.ts";
import { mergeVia } from "../../model/room.ts";
import { roomIdFrom } from "../../attendance/leases/target.ts";
import { readJson } from "../../http/body.ts";
import { disown } from "../../http/disown.ts";
import { param } from "../../http/server.ts";
import { viaOf } from "../../http/via.ts";
import { type PeekEndpoint, type PeekHandler, type PeekParts } from "../peek.ts";
import { deviceKey } from "../peeker.ts";
import type { Identity } from "../contracts.ts";
import { MAX_PLACES } from "./token.ts";

const BODY_LIMIT = 16 * 1024;
const UNSTABLE: readonly string[] = ["/_matrix/client/unstable/org.matrix.msc2753"];

interface Asker extends Identity {
  readonly token: string;
  /** The name from which the device's leases are made. */
  readonly who: string;
}

/** Returns the caller; null if the homeserver refused the token. */
async function askerOf(parts: PeekParts, request: FastifyRequest, reply: FastifyReply): Promise<Asker | null> {
  const token = tokenOf(request);
  if (token === null) throw new EmissaryError("missing-token", "A token is needed to peek.");
  const identity = await parts.users.identifyNow(token);
  if (identity === null) {
    if (await disown(parts.upstream, request, reply)) return null;
    throw new EmissaryError("homeserver-error", "The homeserver does not tell whose a token is that it knows.");
  }
  return { ...identity, token, who: deviceKey(identity) };
}

/** Begins or renews a peek. A renewal does not send the room again. */
const peek: PeekHandler = async (parts, request, reply) => {
  const asker = await askerOf(parts, request, reply);
  if (asker === null) return reply;
  const { servers = [] } = await readJson(request, BODY_LIMIT);
  const named = Array.isArray(servers) ? servers.filter((name) => typeof name === "string") : [];
  const via = mergeVia(
    viaOf(request),
    named.filter((name) => isServerName(name)),
  );
  const target = await parts.peeker.resolve(param(request, "roomIdOrAlias"), via, callerOf(reply));
  const gone = goneOf(reply);
  await requireNotJoined(parts, asker, target.roomId, gone);
  await requirePlace(parts, asker, target.roomId);
  requireTold(parts, target.roomId);
  let lease: Lease;
  try {
    lease = await parts.peeker.open(asker.who, target, gone);
  } catch (error) {
    if (error instanceof EmissaryError) parts.count("refused");
    throw error;
  }
  parts.count("opened");
  await parts.devices.begun(lease.holder.name, asker.token);
  return { room_id: target.roomId, peek_expiry_ts: lease.expiresAt };
};

async function requireNotJoined(
  { peekedRooms }: PeekParts,
  { token, userId }: Asker,
  roomId: RoomId,
  abort: AbortSignal,
): Promise<void> {
  if ((await peekedRooms.membership(token, roomId, userId, abort)) !== "join") return;
  throw new EmissaryError("bad-state", "You are in this room: there is nothing to peek into.");
}

async function requirePlace({ peeks, peeker }: PeekParts, { who }: Asker, roomId: RoomId): Promise<void> {
  const held = await peeks.peeksOf(peeker.holderOf(who).name);
  if (held.length < MAX_PLACES || held.some((other) => other.roomId === roomId)) return;
  throw new EmissaryError("limited", `This device peeks into ${held.length} rooms already; leave some (unpeek).`, {
    reason: "peek-cap",
  });
}

function requireTold({ devices, count }: PeekParts, roomId: RoomId): void {
  const refusal = devices.refusalOf(roomId);
  if (refusal === null) return;
  count("refused");
  throw refusal;
}

const unpeek: PeekHandler = async (parts, request, reply) => {
  const asker = await askerOf(parts, request, reply);
  if (asker === null) return reply;
  const roomId = roomIdFrom(param(request, "roomId"));
  if (await parts.peeker.close(asker.who, roomId)) return {};
  throw new EmissaryError("bad-state", "This device does not peek into this room.");
};

const sync: PeekHandler = async ({ upstream, devices }, request, reply) => {
  const token = tokenOf(request);
  const asked = upstreamRequest(request);
  if (token === null) return upstream.asCaller(asked, reply);
  await devices.sync({ upstream, token, request: asked, reply });
  return reply;
};

export const deviceEndpoints: readonly PeekEndpoint[] = [
  {
    method: "POST",
    path: "/peek/:roomIdOrAlias",
    under: UNSTABLE,
    note: "MSC2753: begins a peek, or renews it",
    handler: peek,
  },
  {
    method: "POST",
    path: "/rooms/:roomId/unpeek",
    under: UNSTABLE,
    note: "MSC2753: ends a peek",
    handler: unpeek,
  },
  {
    method: "GET",
    path: "/sync",
    under: CLIENT_V3,
    note: "passed; for a device that peeks with its rooms under `rooms.peek` (MSC2753)",
    handler: sync,
  },
];
