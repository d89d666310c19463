import { upstreamRequest } from "../../platform/http/upstream.ts";
import { tokenOf } from "../../platform/http/bearer.ts";
import { CLIENT_V1, CLIENT_V3 } from "../../platform/http/client-paths.ts";
import type { FastifyRequest } from "fastify";
import { isRoomAlias, isRoomId, isServerName, type RoomId, type ServerName } from "../../model/ids.ts";
import { parsedObject, stringAt } from "../../model/json.ts";
import { mergeVia } from "../../model/room.ts";
import { shownRoutes } from "../../policy/openness.ts";
import { param } from "../../platform/http/server.ts";
import { viaOf } from "../../platform/http/via.ts";
import { type PeekEndpoint, type PeekHandler, type PeekParts } from "./peek.ts";

/** An alias's answer names servers; a room in thousands of servers has thousands of names. */
const DIRECTORY_BYTES = 1024 * 1024;

/** Clients resolve an alias first, and then name the room by its ID alone. */
const lookUp: PeekHandler = (parts, request, reply) =>
  parts.upstream.asCaller(upstreamRequest(request), reply, {
    limit: DIRECTORY_BYTES,
    revise: (body) => {
      const { room_id: roomId, servers } = parsedObject(body);
      const alias = param(request, "alias");
      if (typeof roomId === "string" && isRoomId(roomId) && Array.isArray(servers) && isRoomAlias(alias)) {
        const named = servers.filter((server) => typeof server === "string").filter((server) => isServerName(server));
        parts.routes.learn(roomId, named, alias);
      }
      return null;
    },
  });

/** A join names the servers that a look before it went through, where the client does not (element-web #15228). */
const join =
  (name: string): PeekHandler =>
  async (parts, request, reply) => {
    const room = param(request, name);
    const via = isRoomId(room) && viaOf(request).length === 0 ? await routesTo(parts, room) : [];
    return parts.upstream.asCaller(upstreamRequest(request, withVia(request, via)), reply);
  };

async function routesTo(parts: PeekParts, roomId: RoomId): Promise<readonly ServerName[]> {
  return mergeVia(parts.routes.of(roomId), shownRoutes(await parts.ledger.room(roomId)));
}

/** Under both names (MSC4156). */
function withVia(request: FastifyRequest, via: readonly ServerName[]): string {
  const url = request.raw.url ?? "/";
  if (via.length === 0) return url;
  const query = new URLSearchParams();
  for (const server of via) {
    query.append("via", server);
    query.append("server_name", server);
  }
  return `${url}${url.includes("?") ? "&" : "?"}${query.toString()}`;
}

/** What can be told of a room from outside is told without a join. */
const summary: PeekHandler = async (parts, request, reply) => {
  const via = tokenOf(request) === null ? [] : viaOf(request);
  return parts.upstream.asCaller(upstreamRequest(request), reply, {
    limit: DIRECTORY_BYTES,
    revise: (body) => {
      const roomId = stringAt(parsedObject(body), "room_id");
      if (roomId !== null && isRoomId(roomId)) parts.routes.hint(roomId, via);
      return null;
    },
  });
};

export const roomEndpoints: readonly PeekEndpoint[] = [
  {
    method: "GET",
    path: "/directory/room/:alias",
    under: CLIENT_V3,
    note: "passed; the servers that it names are remembered",
    handler: lookUp,
  },
  {
    method: "POST",
    path: "/join/:roomIdOrAlias",
    under: CLIENT_V3,
    note: "passed, with the servers that are remembered where it names none",
    handler: join("roomIdOrAlias"),
  },
  {
    method: "POST",
    path: "/rooms/:roomId/join",
    under: CLIENT_V3,
    note: "the same, by ID",
    handler: join("roomId"),
  },
  {
    method: "GET",
    path: "/room_summary/:roomIdOrAlias",
    under: CLIENT_V1,
    note: "passed; its `via` is remembered",
    handler: summary,
  },
  {
    method: "GET",
    path: "/summary/:roomIdOrAlias",
    under: ["/_matrix/client/unstable/im.nheko.summary"],
    note: "the same, by its older name (MSC3266)",
    handler: summary,
  },
  {
    method: "GET",
    path: "/rooms/:roomIdOrAlias/summary",
    under: ["/_matrix/client/unstable/im.nheko.summary"],
    note: "the same",
    handler: summary,
  },
];
