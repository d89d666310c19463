import type { FastifyRequest } from "fastify";
import { isServerName, type ServerName } from "../model/ids.ts";
import { mergeVia } from "../model/room.ts";
import { queryAll } from "./server.ts";

/** The servers that a request names as routes to a room, under the newer name and the older (MSC4156). */
export function viaOf(request: FastifyRequest): readonly ServerName[] {
  const named = [...queryAll(request, "via"), ...queryAll(request, "server_name")];
  return mergeVia(
    named.filter((name) => isServerName(name)),
    [],
  );
}
