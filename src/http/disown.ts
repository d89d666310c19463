import type { FastifyReply, FastifyRequest } from "fastify";
import { tokenOf } from "./bearer.ts";
import type { Upstream } from "./upstream.ts";

const WHOAMI = "/_matrix/client/v3/account/whoami";
const KNOWN: ReadonlySet<number> = new Set([200]);

/**
 * Refuses whoever has a token that nobody has, in the homeserver's own words. Clients forget session and keys at a 401 of ours: only the
 * homeserver knows whether the user is to log in again and keeps them (`soft_logout`, spec, CS API, "Soft logout").
 * @returns false where it knows the token after all: then nothing is answered
 */
export async function disown(upstream: Upstream, request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
  const token = tokenOf(request);
  const headers = token === null ? {} : { authorization: `Bearer ${token}` };
  const known = await upstream.asCallerUnless(KNOWN, { method: "GET", path: WHOAMI, headers, body: null }, reply);
  return known === null;
}
