import { tokenOf } from "../http/bearer.ts";
import { CLIENT_V3 } from "../http/client-paths.ts";
import { param, queryAll } from "../http/server.ts";
import { upstreamRequest } from "../http/upstream.ts";
import type { FastifyRequest } from "fastify";
import { EmissaryError } from "../model/errors.ts";
import { type PeekEndpoint, type PeekHandler, type PeekParts } from "./peek.ts";

/**
 * Passes members' receipts; answers all others `{}` and drops them. A receipt tells the whole room who reads, and
 * homeservers forward it from anybody who may read. Clients send receipts for rooms that they peek into.
 */
const fromMembers: PeekHandler = async (parts, request, reply) => {
  if (await isForHomeserver(parts, request)) return parts.upstream.asCaller(upstreamRequest(request), reply);
  return {};
};

/**
 * Whether the receipt is a member's, or its token is invalid and the homeserver refuses it. Asks each time: a user
 * who left a minute ago must not be seen reading.
 */
async function isForHomeserver({ users }: PeekParts, request: FastifyRequest): Promise<boolean> {
  const token = tokenOf(request);
  if (token === null) return true;
  // An appservice may use this path for any of its users (spec, AS API, "Identity assertion").
  const [as, ...more] = queryAll(request, "user_id");
  if (more.length > 0) throw new EmissaryError("bad-parameter", "The request names more than one user_id.");
  const identity = await users.identify(token, as);
  return identity === null || users.isMember(token, param(request, "roomId"), identity.userId, as);
}

export const receiptEndpoints: readonly PeekEndpoint[] = [
  {
    method: "POST",
    path: "/rooms/:roomId/receipt/:receiptType/:eventId",
    under: CLIENT_V3,
    note: "a member's is passed; any other's goes nowhere, and is answered `{}`",
    handler: fromMembers,
  },
  { method: "POST", path: "/rooms/:roomId/read_markers", under: CLIENT_V3, note: "the same", handler: fromMembers },
];
