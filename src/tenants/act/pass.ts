import type { FastifyRequest } from "fastify";
import type { Readable } from "node:stream";
import { requireAction } from "./access.ts";
import type { ActHandler } from "./act.ts";
import { pathOf } from "./path.ts";

/**
 * Passes a read that concerns no room of the tenant: public data and media.
 * @param allowed query parameters that are passed on
 * @param pathAt the path at the homeserver, if it differs
 */
export function passRead(
  allowed: ReadonlySet<string>,
  method: "GET" | "POST" = "GET",
  pathAt: (path: string) => string = (path) => path,
): ActHandler {
  return async (parts, caller, request, reply) => {
    requireAction(caller, "read");
    const body = method === "GET" ? null : streamOf(request);
    const path = pathAt(pathOf(request, allowed));
    return parts.upstream.asPseudouser({ method, path, headers: headersOf(request, body), body }, reply);
  };
}

/** Returns a body to be streamed on. */
export function streamOf(request: FastifyRequest): Readable | Buffer | null {
  return (request.body ?? null) as Readable | Buffer | null;
}

/** Some libraries announce a body when there is none. */
function headersOf({ headers }: FastifyRequest, body: unknown): FastifyRequest["headers"] {
  if (body !== null) return headers;
  const others = Object.entries(headers).filter(([name]) => name !== "content-length" && name !== "content-type");
  return Object.fromEntries(others);
}
