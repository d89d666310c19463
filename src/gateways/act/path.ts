import type { FastifyRequest } from "fastify";

/** Query parameters that are between the caller and us. */
const OURS = new Set(["access_token", "user_id", "device_id", "org.matrix.msc3202.device_id"]);

/**
 * The path that a tenant's request has at the homeserver: the route with its parameters written anew, so that nothing that was
 * checked here can be read otherwise there (encoded slashes, dots), and the query without tokens and users.
 * @param replace parameters that get another value
 */
export function pathOf(request: FastifyRequest, replace: Readonly<Record<string, string>> = {}): string {
  const params = request.params as Readonly<Record<string, string>>;
  const route = (request.routeOptions.url ?? "").replace("/_matrix/client/r0/", "/_matrix/client/v3/");
  const path = route.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(replace[name] ?? params[name] ?? ""));
  return `${path}${queryOf(request)}`;
}

function queryOf(request: FastifyRequest): string {
  const url = request.raw.url ?? "";
  const at = url.indexOf("?");
  if (at === -1) return "";
  const kept = new URLSearchParams();
  for (const [name, value] of new URLSearchParams(url.slice(at + 1))) if (!OURS.has(name)) kept.append(name, value);
  return kept.size > 0 ? `?${kept.toString()}` : "";
}
