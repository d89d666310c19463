import type { FastifyRequest } from "fastify";
import { EmissaryError } from "../../../model/errors.ts";
import { isRoomAlias, isRoomId, isServerName, serverOf, type RoomAlias, type RoomId } from "../../../model/ids.ts";
import { only, parsedObject, stringAt, written, type JsonObject } from "../../../model/json.ts";
import { revisionOf } from "../../../model/json-text.ts";
import { resolveRoom, roomIdFrom } from "../../../attendance/leases/target.ts";
import { readJson } from "../../../http/body.ts";
import { askerOf } from "../../../http/callers.ts";
import { param, queryAll } from "../../../http/server.ts";
import { type WholeAnswer, sendWhole } from "../../../http/upstream.ts";
import { loadingAnew } from "../../../platform/registration.ts";
import { requireAction, requireDeed } from "../access.ts";
import type { ActHandler, ActParts, Endpoint } from "../act.ts";
import { holderOf, type Caller } from "../caller.ts";
import { passRead } from "../pass.ts";
import { AliasMakers } from "./alias-makers.ts";
import { NONE, pathOf } from "../path.ts";

const BODY_LIMIT = 16 * 1024;

const setAlias: ActHandler = async (parts, caller, request, reply) => {
  requireAction(caller, "create");
  const alias = ownAlias(parts, param(request, "alias"));
  const roomId = bodyRoom(await readJson(request, BODY_LIMIT));
  await requireDeed(parts, caller, roomId, { action: "read" });
  const answer = parts.isReservedAlias(alias)
    ? await parts.mutex.run(keyOf(alias), () => makeAlias(parts, caller, alias, roomId, pathOf(request, NONE)))
    : EXCLUSIVE;
  const passed = await audited(parts, caller, { action: "alias.set", roomId, answer });
  if (isExclusive(answer)) throw notReserved(alias);
  return sendWhole(reply, passed);
};

/** Makes an alias unless it exists: the homeserver would refuse, or make it anew without a note of its owner. */
async function makeAlias(
  parts: ActParts,
  { tenant }: Caller,
  alias: RoomAlias,
  roomId: RoomId,
  path: string,
): Promise<WholeAnswer> {
  const makers = new AliasMakers(parts);
  const there = await parts.aliases.resolve(alias);
  if (there !== null) {
    const isDone = there.roomId === roomId && (await makers.of(alias, roomId)) === tenant.id;
    return isDone ? DONE : TAKEN;
  }
  await makers.note(alias, tenant.id, roomId);
  const answer = await parts.upstream.answer("PUT", path, jsonOf({ room_id: roomId }));
  // After a server error it is unknown whether the alias exists.
  if (answer.status >= 400 && answer.status < 500) await makers.forget(alias);
  return answer;
}

/** To the homeserver all aliases are the pseudouser's, and it would remove any. Emissary checks the owner. */
const removeAlias: ActHandler = async (parts, caller, request, reply) => {
  requireAction(caller, "create");
  const alias = ownAlias(parts, param(request, "alias"));
  const path = pathOf(request, NONE);
  return parts.mutex.run(keyOf(alias), async () => {
    const { roomId } = await resolveRoom(alias, [], parts.aliases, askerOf(reply));
    const room = await requireDeed(parts, caller, roomId, { action: "read" });
    const makers = new AliasMakers(parts);
    const maker = (await makers.of(alias, roomId)) ?? room.createdFor;
    if (maker !== caller.tenant.id) {
      throw new EmissaryError("forbidden", `The alias ${alias} was not made by tenant ${caller.tenant.id}.`);
    }
    const answer = await parts.upstream.answer("DELETE", path, null);
    if (answer.status === 200) await makers.forget(alias);
    return sendWhole(reply, await audited(parts, caller, { action: "alias.remove", roomId, answer }));
  });
};

/** The mutex key for reading and changing an alias. */
function keyOf(alias: RoomAlias): string {
  return `alias ${alias}`;
}

function bodyRoom(body: JsonObject): RoomId {
  const roomId = stringAt(body, "room_id") ?? "";
  if (isRoomId(roomId)) return roomId;
  throw new EmissaryError("bad-parameter", `${JSON.stringify(roomId)} is not a room ID.`);
}
/**
 * Homeservers answer `private` for rooms that they know, and 404 for others. That would reveal to a tenant which
 * rooms the server is in. For a tenant without a lease every unlisted room is private.
 */
const readListed: ActHandler = async (parts, caller, request, reply) => {
  requireAction(caller, "read");
  const roomId = roomIdFrom(param(request, "roomId"));
  const answer = await parts.upstream.answer("GET", pathOf(request, NONE), null);
  const isListed = answer.status === 200 && stringAt(parsedObject(answer.body), "visibility") === "public";
  const isPassed = isListed || answer.status >= 500 || answer.status === 429;
  if (isPassed || (await parts.leases.find(roomId, holderOf(caller.tenant))) !== null) return sendWhole(reply, answer);
  return { visibility: "private" };
};

const setListed: ActHandler = async (parts, caller, request, reply) => {
  const roomId = roomIdFrom(param(request, "roomId"));
  await requireDeed(parts, caller, roomId, { action: "room-state" });
  const body = only(await readJson(request, BODY_LIMIT), "visibility");
  const answer = await parts.upstream.answer("PUT", pathOf(request, NONE), jsonOf(body));
  return sendWhole(reply, await audited(parts, caller, { action: "directory.list", roomId, answer }));
};

function ownAlias({ own }: ActParts, text: string): RoomAlias {
  if (!isRoomAlias(text)) throw new EmissaryError("bad-parameter", `${JSON.stringify(text)} is not a room alias.`);
  if (serverOf(text) === serverOf(own)) return text;
  throw new EmissaryError("bad-parameter", `The alias ${text} is another server's; ours end with :${serverOf(own)}.`);
}

interface Done {
  readonly action: string;
  readonly roomId: RoomId;
  readonly answer: WholeAnswer;
}

async function audited(
  { audit }: ActParts,
  { tenant }: Caller,
  { action, roomId, answer }: Done,
): Promise<WholeAnswer> {
  const { status, body } = answer;
  const outcome = status === 200 ? "done" : (stringAt(parsedObject(body), "errcode") ?? String(status));
  await audit.noteDone({ actor: `tenant:${tenant.id}`, action, outcome, roomId, detail: {} });
  return answer;
}

/** Whether the alias is reserved for others. Synapse gives an appservice only aliases in its namespaces. */
export function isExclusive({ status, body }: Pick<WholeAnswer, "status" | "body">): boolean {
  return status === 400 && stringAt(parsedObject(body), "errcode") === "M_EXCLUSIVE";
}

/** The answer of a homeserver that gives us only reserved aliases. Ours gives us all, so operators can mend them. */
export const EXCLUSIVE: WholeAnswer = {
  status: 400,
  headers: {},
  body: jsonOf({ errcode: "M_EXCLUSIVE", error: "This alias is not reserved for tenants." }),
};

const JSON_HEADERS = { "content-type": "application/json" };

const DONE: WholeAnswer = { status: 200, headers: JSON_HEADERS, body: jsonOf({}) };

/** The homeserver's answer if the alias exists. */
const TAKEN: WholeAnswer = {
  status: 409,
  headers: JSON_HEADERS,
  body: jsonOf({ errcode: "M_UNKNOWN", error: "Room alias already exists" }),
};

/** Tells the tenant how the operator can help; the tenant cannot. */
export function notReserved(alias: string): EmissaryError {
  return new EmissaryError(
    "not-in-namespace",
    `Tenants make aliases that are reserved for them only, and ${alias} is not. Reserve a namespace: emissary register --force --reserve '#…', then ${loadingAnew()}.`,
  );
}

function jsonOf(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** Keys of a directory search (spec, "publicRooms"). */
const SEARCH_KEYS = ["limit", "since", "filter", "include_all_networks", "third_party_instance_id"] as const;

/** Another server's list is requested from that server. */
function requireAskable({ routes }: ActParts, request: FastifyRequest): void {
  routes.required(queryAll(request, "server").filter((server) => isServerName(server)));
}

const searchDirectory: ActHandler = async (parts, caller, request, reply) => {
  requireAction(caller, "read");
  requireAskable(parts, request);
  const asked = await readJson(request, BODY_LIMIT);
  const body = Buffer.from(written(revisionOf(asked, only(asked, ...SEARCH_KEYS), "all")));
  const path = pathOf(request, SEARCH);
  return parts.upstream.asPseudouser({ method: "POST", path, headers: JSON_HEADERS, body }, reply);
};

/** The homeserver asks the alias's server. */
const lookUp: ActHandler = async (parts, caller, request, reply) => {
  const alias = param(request, "alias");
  if (isRoomAlias(alias)) parts.aliases.requireAskable(alias);
  return passRead(NONE)(parts, caller, request, reply);
};

const listDirectory: ActHandler = async (parts, caller, request, reply) => {
  requireAskable(parts, request);
  return passRead(SEARCH)(parts, caller, request, reply);
};

const SEARCH: ReadonlySet<string> = new Set(["limit", "since", "server"]);

/** Room aliases and the public room directory. */
export const aliasEndpoints: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/directory/room/:alias",
    how: "passed",
    note: "where an alias points",
    handler: lookUp,
  },
  {
    method: "PUT",
    path: "/directory/room/:alias",
    how: "passed",
    note: "of our server, for a room that the tenant is in; with the create action",
    handler: setAlias,
  },
  {
    method: "DELETE",
    path: "/directory/room/:alias",
    how: "passed",
    note: "of the tenant's own making, or of a room that was made for it; with the create action",
    handler: removeAlias,
  },
  { method: "GET", path: "/publicRooms", how: "passed", note: "the public rooms", handler: listDirectory },
  {
    method: "POST",
    path: "/publicRooms",
    how: "passed",
    note: "the same, searched",
    handler: searchDirectory,
  },
  {
    method: "GET",
    path: "/directory/list/room/:roomId",
    how: "passed",
    note: "whether a room is among the public ones",
    handler: readListed,
  },
  {
    method: "PUT",
    path: "/directory/list/room/:roomId",
    how: "passed",
    note: "with the room-state action",
    handler: setListed,
  },
  {
    method: "PUT",
    path: "/directory/list/appservice/:networkId/:roomId",
    how: "passed",
    note: "with the room-state action",
    handler: setListed,
  },
];
