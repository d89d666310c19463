import type { FastifyReply, FastifyRequest } from "fastify";
import type { Readable } from "node:stream";
import { EmissaryError } from "../../model/errors.ts";
import { written, type JsonObject } from "../../model/json.ts";
import type { UpstreamRequest } from "../../http/upstream.ts";
import { requireAction } from "./access.ts";
import type { ActHandler, Call } from "./act.ts";

export const SMALL_BODY_LIMIT = 16 * 1024;

export const JSON_HEADERS = { "content-type": "application/json" };

const BODY_HEADERS: ReadonlySet<string> = new Set(["content-length", "content-type"]);

/** For endpoints without query parameters. */
export const NONE: ReadonlySet<string> = new Set();

/**
 * Query parameters that change what a write does: dated back, sent later, or shown for a while (MSC4140, MSC4354). An
 * endpoint that does not support one refuses it by name. Other unknown parameters are ignored, as homeservers do.
 */
const CHANGING: ReadonlySet<string> = new Set([
  "ts",
  ...["delay", "parent_delay_id", "org.matrix.msc4140.delay", "org.matrix.msc4140.parent_delay_id"],
  ...["sticky_duration_ms", "org.matrix.msc4354.sticky_duration_ms"],
]);

/**
 * Returns the path for the homeserver, with the allowed query parameters and some path parameters replaced. All is
 * encoded anew, so nothing that was checked here can be read differently there or on the way.
 * @throws EmissaryError `bad-parameter` for dot segments, which servers may resolve, or a parameter in CHANGING
 */
export function pathOf(
  request: FastifyRequest,
  allowed: ReadonlySet<string> = NONE,
  replace: Readonly<Record<string, string>> = {},
): string {
  const params = request.params as Readonly<Record<string, string>>;
  const route = (request.routeOptions.url ?? "").replace(/^\/_matrix\/(client|media)\/r0\//, "/_matrix/$1/v3/");
  const path = route.replace(/:(\w+)/g, (_, name: string) => {
    const value = replace[name] ?? params[name] ?? "";
    if (value === "." || value === "..")
      throw new EmissaryError("bad-parameter", `${JSON.stringify(value)} is not a valid ${name}.`);
    return encodeURIComponent(value);
  });
  return `${path}${queryOf(request, allowed)}`;
}

function queryOf(request: FastifyRequest, allowed: ReadonlySet<string>): string {
  const url = request.raw.url ?? "";
  const at = url.indexOf("?");
  if (at === -1) return "";
  const kept = new URLSearchParams();
  for (const [name, value] of new URLSearchParams(url.slice(at + 1))) {
    if (allowed.has(name)) kept.append(name, value);
    else if (request.method !== "GET" && request.method !== "HEAD" && CHANGING.has(name)) {
      throw new EmissaryError("bad-parameter", `Tenants cannot set the query parameter ${JSON.stringify(name)} here.`);
    }
  }
  return kept.size > 0 ? `?${kept.toString()}` : "";
}

/** Returns a read of the homeserver without a body. */
export function readOf({ headers }: FastifyRequest, path: string): UpstreamRequest {
  return { method: "GET", path, headers, body: null };
}

/** Passes a read on as it is, without query parameters. */
export function passOn({ parts, request, reply }: Call): Promise<FastifyReply> {
  return parts.upstream.asPseudouser(readOf(request, pathOf(request)), reply);
}

/** Passes a request on with another body. */
export function passJson(
  { parts, reply }: Call,
  method: "PUT" | "POST",
  path: string,
  body: JsonObject,
): Promise<FastifyReply> {
  const sent = { method, path, headers: JSON_HEADERS, body: Buffer.from(written(body)) };
  return parts.upstream.asPseudouser(sent, reply);
}

/** Passes a body on as it arrives. */
export function passStream({ parts, request, reply }: Call, method: "PUT" | "POST", path: string) {
  const body = (request.body ?? null) as Readable | Buffer | null;
  return parts.upstream.asPseudouser({ method, path, headers: request.headers, body }, reply);
}

/** Passes a read that concerns no room of the tenant: public data and media. */
export function passRead(
  allowed: ReadonlySet<string> = NONE,
  pathAt: (path: string) => string = (path) => path,
): ActHandler {
  return async (call) => {
    requireAction(call, "read");
    const { parts, request, reply } = call;
    // Some libraries announce a body when there is none.
    const headers = Object.entries(request.headers).filter(([name]) => !BODY_HEADERS.has(name));
    const read = readOf(request, pathAt(pathOf(request, allowed)));
    return parts.upstream.asPseudouser({ ...read, headers: Object.fromEntries(headers) }, reply);
  };
}
