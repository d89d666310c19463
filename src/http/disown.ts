import type { FastifyReply, FastifyRequest } from "fastify";
import { tokenOf } from "./bearer.ts";
import type { Upstream } from "./upstream.ts";

const WHOAMI = "/_matrix/client/v3/account/whoami";
const KNOWN: ReadonlySet<number> = new Set([200]);

/**
 * Refuses an unknown token in the homeserver's own words. At a 401 from us clients would forget session and keys; only
 * the homeserver knows whether to keep them (`soft_logout`, spec, CS API, "Soft logout").
 * @returns false if the homeserver knows the token after all: then nothing was answered
 */
export async function disown(
  upstream: Pick<Upstream, "asCallerUnless">,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<boolean> {
  const token = tokenOf(request);
  const headers = token === null ? {} : { authorization: `Bearer ${token}` };
  const known = await upstream.asCallerUnless(KNOWN, { method: "GET", path: WHOAMI, headers, body: null }, reply);
  return known === null;
}
