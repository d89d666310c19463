import type { FastifyRequest } from "fastify";
import type { RoomId } from "../../../model/ids.ts";
import { CLIENT_V1 } from "../../../http/client-paths.ts";
import { param, queryAll } from "../../../http/server.ts";
import { requireRoom } from "../access.ts";
import { passed, type ActHandler, type Call, type Endpoint } from "../act.ts";
import { NONE, pathOf, readOf } from "../pass.ts";
import { membersShown } from "../users/members.ts";
import { echoedAnswer, echoedContent, echoedEntry, MAX_ECHO_BYTES } from "./echo.ts";
import { readHierarchy } from "./hierarchy.ts";
import { withPageTokens } from "./page-tokens.ts";

/** Query parameters of reads: pages, filters and formats. */
const PAGES: ReadonlySet<string> = new Set(["from", "to", "dir", "limit", "filter", "format"]);
const RELATIONS: ReadonlySet<string> = new Set(["from", "to", "dir", "limit", "recurse"]);
const THREADS: ReadonlySet<string> = new Set(["from", "limit", "include"]);
const MOMENT: ReadonlySet<string> = new Set(["ts", "dir"]);

/** Passes a read to the homeserver as the pseudouser. In the answer the tenant's events have its users as senders. */
function read(
  allowed: ReadonlySet<string>,
  isContent: (request: FastifyRequest) => boolean = () => false,
  pathFor: (call: Call, roomId: RoomId, path: string) => Promise<string> = async (_call, _roomId, path) => path,
): ActHandler {
  return async (call) => {
    const { roomId } = await requireRoom(call, "read");
    const { parts, tenant, request, reply } = call;
    const viewer = parts.tenants.viewerOf(tenant);
    const type = isContent(request) ? param(request, "eventType") : null;
    const path = await pathFor(call, roomId, pathOf(request, allowed));
    return parts.upstream.revised(readOf(request, path), reply, {
      limit: MAX_ECHO_BYTES,
      revise: (body) => (type === null ? echoedAnswer(body, viewer, parts.owners) : echoedContent(type, body, viewer)),
    });
  };
}

/** Streams the whole state: a room may have a hundred thousand members. Shows the same members as /members. */
const readWholeState: ActHandler = async (call) => {
  const { roomId } = await requireRoom(call, "read");
  const { parts, tenant, request, reply } = call;
  const viewer = parts.tenants.viewerOf(tenant);
  const shown = await membersShown(call, roomId);
  return parts.upstream.rewritten(readOf(request, pathOf(request, PAGES)), reply, {
    within: null,
    change: (event) => (shown.replaces(event) ? null : echoedEntry(event, viewer)),
    more: () => shown.events,
    unreadable: null,
  });
};

/** Returns one state event's content, or the whole event with `format=event`. */
const readState = read(PAGES, (request) => !queryAll(request, "format").includes("event"));
const readPages = read(PAGES);
const readHistory = read(PAGES, () => false, withPageTokens);
const readRelations = read(RELATIONS);

export const readEndpoints: readonly Endpoint[] = [
  passed("GET /rooms/:roomId/state", "the whole state", readWholeState),
  passed("GET /rooms/:roomId/state/:eventType", "one state event's content", readState),
  passed("GET /rooms/:roomId/state/:eventType/:stateKey", "one state event's content", readState),
  passed("GET /rooms/:roomId/messages", "history; `from` and `to` may be tokens of `/sync`", readHistory),
  passed("GET /rooms/:roomId/event/:eventId", "one event", readPages),
  passed("GET /rooms/:roomId/context/:eventId", "an event and those around it", readPages),
  passed("GET /rooms/:roomId/aliases", "the aliases that the homeserver knows", read(NONE)),
  ...(
    [
      ["/relations/:eventId", "what relates to an event", readRelations],
      ["/relations/:eventId/:relType", "what relates to it in one way", readRelations],
      ["/relations/:eventId/:relType/:eventType", "of that, one type of events", readRelations],
      ["/threads", "the threads of a room", read(THREADS)],
      ["/timestamp_to_event", "the event nearest to a time", read(MOMENT)],
      ["/hierarchy", "a space's rooms, without those that only other tenants can see", readHierarchy],
    ] as const
  ).map(([path, note, handler]) => passed(`GET /rooms/:roomId${path}`, note, handler, CLIENT_V1)),
];
