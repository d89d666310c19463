import { ON_BEHALF_OF } from "../../../model/attribution.ts";
import { EmissaryError } from "../../../model/errors.ts";
import { isRoomAlias, isRoomId, isServerName, serverOf, type RoomAlias, type RoomId } from "../../../model/ids.ts";
import { only, parsedObject, stringAt, type JsonObject } from "../../../model/json.ts";
import { revisionOf } from "../../../model/json-text.ts";
import { MAX_UPGRADES } from "../../../model/room.ts";
import { resolveRoom, roomIdFrom } from "../../../attendance/leases/target.ts";
import { readJson } from "../../../http/body.ts";
import { askerOf } from "../../../http/callers.ts";
import { param, queryAll } from "../../../http/server.ts";
import { type WholeAnswer, sendWhole } from "../../../http/upstream.ts";
import { loadingAnew } from "../../../platform/registration.ts";
import { holderOf, requireAction, requireDeed, requireRoom } from "../access.ts";
import { passed, type ActHandler, type ActParts, type Call, type Endpoint } from "../act.ts";
import { noteAnswer } from "../checks/audited.ts";
import { objectFrom } from "../homeserver.ts";
import { JSON_HEADERS, passJson, passRead, pathOf, SMALL_BODY_LIMIT } from "../pass.ts";

const setAlias: ActHandler = async (call) => {
  requireAction(call, "create");
  const { parts, request, reply } = call;
  const alias = ownAlias(call);
  const roomId = stringAt(await readJson(request, SMALL_BODY_LIMIT), "room_id") ?? "";
  if (!isRoomId(roomId)) throw new EmissaryError("bad-parameter", `${JSON.stringify(roomId)} is not a room ID.`);
  await requireDeed(call, roomId, "read");
  const answer = parts.isReservedAlias(alias)
    ? await parts.mutex.run(`alias ${alias}`, () => makeAlias(call, alias, roomId))
    : EXCLUSIVE;
  await noteAnswer(call, { action: "alias.set", roomId }, answer);
  if (isExclusive(answer)) throw notReserved(alias);
  return sendWhole(reply, answer);
};

/** Makes an alias unless it exists: the homeserver would refuse, or make it anew without a note of its owner. */
async function makeAlias(call: Call, alias: RoomAlias, roomId: RoomId): Promise<WholeAnswer> {
  const { parts, tenant, request } = call;
  const path = pathOf(request);
  const there = await parts.aliases.resolve(alias);
  if (there !== null) {
    const isDone = there.roomId === roomId && (await makerOf(parts, alias, roomId)) === tenant.id;
    return isDone ? DONE : TAKEN;
  }
  await noteMaker(call, alias, roomId);
  const answer = await parts.upstream.answer("PUT", path, jsonOf({ room_id: roomId }));
  // After a server error it is unknown whether the alias exists.
  if (answer.status >= 400 && answer.status < 500) await forgetMaker(parts, alias);
  return answer;
}

/** To the homeserver all aliases are the pseudouser's, and it would remove any. Emissary checks the owner. */
const removeAlias: ActHandler = async (call) => {
  requireAction(call, "create");
  const { parts, tenant, request, reply } = call;
  const alias = ownAlias(call);
  const path = pathOf(request);
  return parts.mutex.run(`alias ${alias}`, async () => {
    const { roomId } = await resolveRoom(alias, [], parts.aliases, askerOf(reply));
    const room = await requireDeed(call, roomId, "read");
    const maker = (await makerOf(parts, alias, roomId)) ?? room.createdFor;
    if (maker !== tenant.id) {
      throw new EmissaryError("forbidden", `The alias ${alias} was not made by tenant ${tenant.id}.`);
    }
    const answer = await parts.upstream.answer("DELETE", path, null);
    if (answer.status === 200) await forgetMaker(parts, alias);
    await noteAnswer(call, { action: "alias.remove", roomId }, answer);
    return sendWhole(reply, answer);
  });
};

/**
 * Homeservers answer `private` for rooms that they know, and 404 for others. That would reveal to a tenant which
 * rooms the server is in. For a tenant without a lease every unlisted room is private.
 */
const readListed: ActHandler = async (call) => {
  requireAction(call, "read");
  const { parts, tenant, request, reply } = call;
  const roomId = roomIdFrom(param(request, "roomId"));
  const answer = await parts.upstream.answer("GET", pathOf(request), null);
  const isListed = answer.status === 200 && stringAt(parsedObject(answer.body), "visibility") === "public";
  const isPassed = isListed || answer.status >= 500 || answer.status === 429;
  if (isPassed || (await parts.leases.find(roomId, holderOf(tenant))) !== null) return sendWhole(reply, answer);
  return { visibility: "private" };
};

const setListed: ActHandler = async (call) => {
  const { roomId } = await requireRoom(call, "room-state");
  const { parts, request, reply } = call;
  const body = only(await readJson(request, SMALL_BODY_LIMIT), "visibility");
  const answer = await parts.upstream.answer("PUT", pathOf(request), jsonOf(body));
  await noteAnswer(call, { action: "directory.list", roomId }, answer);
  return sendWhole(reply, answer);
};

function ownAlias({ parts, request }: Call): RoomAlias {
  const alias = param(request, "alias");
  const server = serverOf(parts.own);
  if (!isRoomAlias(alias)) throw new EmissaryError("bad-parameter", `${JSON.stringify(alias)} is not a room alias.`);
  if (serverOf(alias) === server) return alias;
  throw new EmissaryError("bad-parameter", `The alias ${alias} is another server's; ours end with :${server}.`);
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
    `Tenants can make only aliases that are reserved for them, and ${alias} is not. Reserve a namespace: emissary register --force --reserve '#…', then ${loadingAnew()}.`,
  );
}

function jsonOf(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** Keys of a directory search (spec, "publicRooms"). */
const SEARCH_KEYS = ["limit", "since", "filter", "include_all_networks", "third_party_instance_id"] as const;

const SEARCH: ReadonlySet<string> = new Set(["limit", "since", "server"]);

/** Another server's list is requested from that server. */
function requireAskable({ parts, request }: Call): void {
  parts.routes.required(queryAll(request, "server").filter((server) => isServerName(server)));
}

const searchDirectory: ActHandler = async (call) => {
  requireAction(call, "read");
  requireAskable(call);
  const asked = await readJson(call.request, SMALL_BODY_LIMIT);
  return passJson(call, "POST", pathOf(call.request, SEARCH), revisionOf(asked, only(asked, ...SEARCH_KEYS), "all"));
};

/** The homeserver asks the alias's server. */
const lookUp: ActHandler = async (call) => {
  const alias = param(call.request, "alias");
  if (isRoomAlias(alias)) call.parts.aliases.requireAskable(alias);
  return passRead()(call);
};

const listDirectory: ActHandler = async (call) => {
  requireAskable(call);
  return passRead(SEARCH)(call);
};

/*
 * Notes which tenant made an alias, in the pseudouser's account data at the homeserver. No tenant reaches it:
 * tenants' account data have types of their own (users/account-data.ts). The note is written before the alias is
 * made, so a crash in between loses no owner. It holds for one room and its replacements: a leftover note says
 * nothing about a later alias for another room.
 */

/** The key of a note's room. */
const ROOM = "room_id";

/** Returns the tenant that made an alias that points to this room, or null. @throws EmissaryError `homeserver-error` */
async function makerOf(parts: ActParts, alias: RoomAlias, roomId: RoomId): Promise<string | null> {
  const note = await objectFrom(parts.upstream, notePath(parts, alias), `who made the alias ${alias}`);
  if (note === null) return null;
  const madeFor = stringAt(note, ROOM);
  return madeFor === null || (await follows(parts, roomId, madeFor)) ? stringAt(note, ON_BEHALF_OF) : null;
}

/** Called before a tenant makes an alias. If this throws, the alias must not be made. @throws EmissaryError */
async function noteMaker({ parts, tenant }: Call, alias: RoomAlias, roomId: RoomId): Promise<void> {
  const { status } = await putNote(parts, alias, { [ON_BEHALF_OF]: tenant.id, [ROOM]: roomId });
  if (status === 200) return;
  throw new EmissaryError("homeserver-error", `The homeserver did not store who made the alias ${alias}; try again.`);
}

/** Called if the alias was not made, or is removed. Best effort: a note without its alias has no effect. */
async function forgetMaker(parts: ActParts, alias: RoomAlias): Promise<void> {
  try {
    await putNote(parts, alias, {});
  } catch (error) {
    if (!(error instanceof EmissaryError)) throw error;
  }
}

/** Whether a room is `madeFor` or replaces it: on upgrades a homeserver moves aliases. */
async function follows({ ledger }: ActParts, roomId: RoomId, madeFor: string): Promise<boolean> {
  let room: string | null = roomId;
  for (let steps = 0; steps <= MAX_UPGRADES && room !== null && isRoomId(room); steps += 1) {
    if (room === madeFor) return true;
    room = (await ledger.room(room))?.predecessor ?? null;
  }
  return false;
}

function putNote(parts: ActParts, alias: RoomAlias, note: JsonObject): Promise<WholeAnswer> {
  return parts.upstream.answer("PUT", notePath(parts, alias), Buffer.from(JSON.stringify(note)));
}

function notePath({ own }: ActParts, alias: RoomAlias): string {
  const type = `org.matrix.msc1777.alias:${alias}`;
  return `/_matrix/client/v3/user/${encodeURIComponent(own)}/account_data/${encodeURIComponent(type)}`;
}

/** Room aliases and the public room directory. */
export const aliasEndpoints: readonly Endpoint[] = [
  passed("GET /directory/room/:alias", "where an alias points", lookUp),
  passed(
    "PUT /directory/room/:alias",
    "of our server, for a room that the tenant is in; with the create action",
    setAlias,
  ),
  passed(
    "DELETE /directory/room/:alias",
    "of the tenant's own making, or of a room that was made for it; with the create action",
    removeAlias,
  ),
  passed("GET /publicRooms", "the public rooms", listDirectory),
  passed("POST /publicRooms", "the same, searched", searchDirectory),
  passed("GET /directory/list/room/:roomId", "whether a room is among the public ones", readListed),
  passed("PUT /directory/list/room/:roomId", "with the room-state action", setListed),
  passed("PUT /directory/list/appservice/:networkId/:roomId", "with the room-state action", setListed),
];
