import type { FastifyRequest } from "fastify";
import { tokenOf } from "../http/bearer.ts";
import { CLIENT_EVERY, CLIENT_V1_EVERY } from "../http/client-paths.ts";
import { param, queryAll } from "../http/server.ts";
import { upstreamRequest, type Revision, type UpstreamRequest } from "../http/upstream.ts";
import { viaOf } from "../http/via.ts";
import { isRoomAlias, isRoomId, isServerName, serverOf, type ServerName } from "../model/ids.ts";
import { parsedObject, stringAt } from "../model/json.ts";
import { mergeVia } from "../model/room.ts";
import { shownRoutes } from "../policy/openness.ts";
import type { PeekHandler, PeekParts, PeekRow } from "./peek.ts";
import { readRoom } from "./reads.ts";
import { routesOfDirectory, routesOfSpace, serversIn, type NamedRoute } from "./named-routes.ts";

/** The answer for an alias names servers; a large room has thousands. */
const DIRECTORY_BYTES = 1024 * 1024;

/** Resolves an alias. Clients do this first and then name the room by its ID alone. */
const lookUp: PeekHandler = (parts, request, reply) =>
  parts.upstream.asCaller(upstreamRequest(request), reply, {
    limit: DIRECTORY_BYTES,
    revise: (body) => {
      const { room_id: roomId, servers } = parsedObject(body);
      const alias = param(request, "alias");
      if (typeof roomId === "string" && isRoomId(roomId) && Array.isArray(servers) && isRoomAlias(alias)) {
        const named = serversIn(servers);
        // A caller without an account may ask for an alias of a server that claims anything.
        if (tokenOf(request) === null) parts.routes.hint(roomId, named);
        else parts.routes.learn(roomId, named, alias);
      }
      return null;
    },
  });

/** Adds the servers of an earlier look to a join if the client names none (element-web #15228). */
const join =
  (name: string): PeekHandler =>
  async (parts, request, reply) =>
    parts.upstream.asCaller(await byKnownRoutes(parts, request, name), reply, remembering(parts, viaOf(request)));

/** Adds known routes if the request names none. Leaves out silent servers, which cost minutes, if others lead there. */
async function byKnownRoutes(
  { routes, health, ledger }: PeekParts,
  request: FastifyRequest,
  name: string,
): Promise<UpstreamRequest> {
  const room = param(request, name);
  if (!isRoomId(room)) return upstreamRequest(request);
  const named = viaOf(request);
  if (named.length > 0) {
    const passable = health.passable(room, named);
    return upstreamRequest(request, passable.length < named.length ? withVia(request, passable) : undefined);
  }
  const known = mergeVia(routes.of(room), shownRoutes(await ledger.room(room)));
  return upstreamRequest(request, withVia(request, health.passable(room, routes.withLastResort(room, known))));
}

/** Replaces the routes, under both names (MSC4156). The rest stays as the client wrote it. */
function withVia(request: FastifyRequest, via: readonly ServerName[]): string {
  const url = request.raw.url ?? "/";
  if (via.length === 0) return url;
  const [path = "/", query = ""] = url.split("?", 2);
  const others = query.split("&").filter((pair) => pair !== "" && !/^(?:via|server_name)(?:=|$)/.test(pair));
  const routes = via.flatMap((server) => ["via", "server_name"].map((key) => `${key}=${encodeURIComponent(server)}`));
  return `${path}?${[...others, ...routes].join("&")}`;
}

/** Answers with what is known of a room from outside, without a join. Without a token, asks no other server. */
const summary: PeekHandler = async (parts, request, reply) => {
  if (tokenOf(request) === null) return parts.upstream.asCaller(upstreamRequest(request), reply);
  const asked = await byKnownRoutes(parts, request, "roomIdOrAlias");
  return parts.upstream.asCaller(asked, reply, remembering(parts, viaOf(request)));
};

/** Remembers routes from the answer, which stays as it is. */
function hinting({ routes }: PeekParts, routesOf: (body: Buffer) => readonly NamedRoute[]): Revision {
  return {
    limit: DIRECTORY_BYTES,
    revise: (body) => {
      for (const [roomId, via] of routesOf(body)) routes.hint(roomId, via);
      return null;
    },
  };
}

/** Remembers the servers that the request named: the homeserver reached the room through one of them. */
function remembering(parts: PeekParts, via: readonly ServerName[]): Revision {
  return hinting(parts, (body) => {
    const roomId = stringAt(parsedObject(body), "room_id");
    return roomId !== null && isRoomId(roomId) ? [[roomId, via]] : [];
  });
}

/** Remembers the server that lists a room as its route: clients name none (MSC1777's looks begin here). */
const publicRooms: PeekHandler = (parts, request, reply) => {
  const [server] = queryAll(request, "server");
  const isOther = server !== undefined && isServerName(server) && server !== serverOf(parts.own);
  if (!isOther || tokenOf(request) === null) return parts.upstream.asCaller(upstreamRequest(request), reply);
  const revision = hinting(parts, (body) => routesOfDirectory(body, server));
  return parts.upstream.asCaller(upstreamRequest(request), reply, revision);
};

/** Reads a space like a room. If the homeserver does not know it, Emissary opens it. */
const hierarchy: PeekHandler = (parts, request, reply) =>
  readRoom(parts, request, reply, param(request, "roomId"), { revision: hinting(parts, routesOfSpace) });

const KNOWN_SERVERS = "passed, with the servers that are remembered where it names none; its `via` is remembered";
const MSC3266: readonly string[] = ["/_matrix/client/unstable/im.nheko.summary"];

export const roomRows: readonly PeekRow[] = [
  ["GET", "/directory/room/:alias", CLIENT_EVERY, "passed; the servers that it names are remembered", lookUp],
  ["POST", "/join/:roomIdOrAlias", CLIENT_EVERY, KNOWN_SERVERS, join("roomIdOrAlias")],
  ["POST", "/rooms/:roomId/join", CLIENT_EVERY, "the same, by ID", join("roomId")],
  ["GET", "/room_summary/:roomIdOrAlias", CLIENT_V1_EVERY, KNOWN_SERVERS, summary],
  ["GET", "/summary/:roomIdOrAlias", MSC3266, "the same, by its older name (MSC3266)", summary],
  ["GET", "/rooms/:roomIdOrAlias/summary", MSC3266, "the same", summary],
  [
    "GET",
    "/rooms/:roomId/hierarchy",
    CLIENT_V1_EVERY,
    "a space's rooms, with their counts; their servers (`via`) are remembered",
    hierarchy,
  ],
  [
    "GET",
    "/publicRooms",
    CLIENT_EVERY,
    "passed: the directory, with its counts; what another `server` lists is remembered as reached through it",
    publicRooms,
  ],
  ["POST", "/publicRooms", CLIENT_EVERY, "the same, with a search", publicRooms],
];
