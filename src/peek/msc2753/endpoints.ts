import { upstreamRequest } from "../../http/upstream.ts";
import { tokenOf } from "../../http/bearer.ts";
import { askerOf as callerOf, goneOf } from "../../http/callers.ts";
import { CLIENT_EVERY } from "../../http/client-paths.ts";
import type { FastifyReply, FastifyRequest } from "fastify";
import { EmissaryError } from "../../model/errors.ts";
import { mergeVia } from "../../model/room.ts";
import { roomIdFrom } from "../../attendance/leases/target.ts";
import { readJson } from "../../http/body.ts";
import { disown } from "../../http/disown.ts";
import { param } from "../../http/server.ts";
import { viaOf } from "../../http/via.ts";
import type { PeekHandler, PeekParts, PeekRow } from "../peek.ts";
import { deviceKey } from "../peeker.ts";
import { serversIn } from "../named-routes.ts";
import type { Identity } from "../users.ts";
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
    throw new EmissaryError("homeserver-error", "The homeserver knows the token but does not name its owner.");
  }
  return { ...identity, token, who: deviceKey(identity) };
}

/** Begins or renews a peek. A renewal does not send the room again. */
const peek: PeekHandler = async (parts, request, reply) => {
  const asker = await askerOf(parts, request, reply);
  if (asker === null) return reply;
  const { servers } = await readJson(request, BODY_LIMIT);
  const via = mergeVia(viaOf(request), serversIn(servers));
  const target = await parts.peeker.resolve(param(request, "roomIdOrAlias"), via, callerOf(reply));
  const gone = goneOf(reply);
  const { who, token, userId } = asker;
  const { roomId } = target;
  if ((await parts.peekedRooms.membership(token, roomId, userId, gone)) === "join") {
    throw new EmissaryError("bad-state", "You are in this room: there is nothing to peek into.");
  }
  const held = await parts.peeks.peeksOf(parts.peeker.holderOf(who).name);
  if (held.length >= MAX_PLACES && !held.some((other) => other.roomId === roomId)) {
    const sentence = `This device already peeks into ${held.length} rooms. Unpeek some first.`;
    throw new EmissaryError("limited", sentence, { reason: "peek-cap" });
  }
  const refusal = parts.devices.refusalOf(roomId);
  if (refusal !== null) {
    parts.count("refused");
    throw refusal;
  }
  const lease = await parts.peeker.open(who, target, gone).catch((error: unknown) => {
    if (error instanceof EmissaryError) parts.count("refused");
    throw error;
  });
  parts.count("opened");
  await parts.devices.begun(lease.holder.name, token);
  return { room_id: roomId, peek_expiry_ts: lease.expiresAt };
};

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

export const deviceRows: readonly PeekRow[] = [
  ["POST", "/peek/:roomIdOrAlias", UNSTABLE, "MSC2753: begins a peek, or renews it", peek],
  ["POST", "/rooms/:roomId/unpeek", UNSTABLE, "MSC2753: ends a peek", unpeek],
  ["GET", "/sync", CLIENT_EVERY, "passed; for a device that peeks with its rooms under `rooms.peek` (MSC2753)", sync],
];
