import type { FastifyRequest } from "fastify";
import { EmissaryError } from "../../model/errors.ts";

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
 * Returns the path for the homeserver, with the allowed query parameters. Route and parameters are encoded anew, so
 * nothing that was checked here can be read differently there or on the way.
 * @param allowed query parameters that are passed on
 * @param replace new values of path parameters
 * @throws EmissaryError `bad-parameter` for dot segments, which servers may resolve, or a parameter that changes the
 * request
 */
export function pathOf(
  request: FastifyRequest,
  allowed: ReadonlySet<string>,
  replace: Readonly<Record<string, string>> = {},
): string {
  const params = request.params as Readonly<Record<string, string>>;
  const route = (request.routeOptions.url ?? "").replace(/^\/_matrix\/(client|media)\/r0\//, "/_matrix/$1/v3/");
  const path = route.replace(/:(\w+)/g, (_, name: string) => {
    const value = replace[name] ?? params[name] ?? "";
    if (value === "." || value === "..")
      throw new EmissaryError("bad-parameter", `${JSON.stringify(value)} is no ${name}.`);
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
      throw new EmissaryError(
        "bad-parameter",
        `The query parameter ${JSON.stringify(name)} is not for tenants to set here.`,
      );
    }
  }
  return kept.size > 0 ? `?${kept.toString()}` : "";
}
