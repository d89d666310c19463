import type { FastifyRequest } from "fastify";
import { isServerName, type ServerName } from "../model/ids.ts";
import { mergeVia } from "../model/room.ts";
import { queryAll } from "./server.ts";

/** Returns the routes to a room that a request names, under the new and the old parameter name (MSC4156). */
export function viaOf(request: FastifyRequest): readonly ServerName[] {
  const named = [...queryAll(request, "via"), ...queryAll(request, "server_name")];
  const routes = named.filter((name) => isServerName(name));
  return mergeVia(routes, []);
}
