import type { FastifyReply } from "fastify";
import { ON_BEHALF_OF } from "../../../model/attribution.ts";
import { EmissaryError } from "../../../model/errors.ts";
import { isRoomAlias, serverOf, type RoomAlias, type RoomId, type TenantId } from "../../../model/ids.ts";
import { parsedObject, stringAt } from "../../../model/json.ts";
import { resolveRoom, roomIdFrom } from "../../../leases/target.ts";
import { readJson } from "../../../platform/http/body.ts";
import { param } from "../../../platform/http/server.ts";
import { requireAction, requireDeed } from "../access.ts";
import type { ActHandler, ActParts, Endpoint } from "../act.ts";
import type { Caller } from "../caller.ts";
import { passRead } from "../pass.ts";
import { pathOf } from "../path.ts";

const BODY_LIMIT = 16 * 1024;
const NONE: ReadonlySet<string> = new Set();

const setAlias: ActHandler = async (parts, caller, request, reply) => {
  requireAction(caller, "create");
  const alias = ownAlias(parts, param(request, "alias"));
  const roomId = roomIdFrom(stringAt(await readJson(request, BODY_LIMIT), "room_id") ?? "");
  await requireDeed(parts, caller, roomId, { action: "read" });
  const answer = parts.isReservedAlias(alias)
    ? await parts.upstream.answer("PUT", pathOf(request, NONE), jsonOf({ room_id: roomId }))
    : EXCLUSIVE;
  if (answer.status === 200) await noteMaker(parts, alias, caller.tenant.id);
  const passed = await audited(parts, caller, { action: "alias.set", roomId, answer });
  if (isExclusive(answer)) throw notReserved(alias);
  return passBack(reply, passed);
};

/** Aliases are the pseudouser's to the homeserver, and it removes any of them: whose it is has to be told here. */
const removeAlias: ActHandler = async (parts, caller, request, reply) => {
  requireAction(caller, "create");
  const alias = ownAlias(parts, param(request, "alias"));
  const { roomId } = await resolveRoom(alias, [], parts.aliases);
  const room = await requireDeed(parts, caller, roomId, { action: "read" });
  const maker = (await makerOf(parts, alias)) ?? room.createdFor;
  if (maker !== caller.tenant.id) {
    throw new EmissaryError("forbidden", `The alias ${alias} was not made by tenant ${caller.tenant.id}.`);
  }
  const answer = await parts.upstream.answer("DELETE", pathOf(request, NONE), null);
  if (answer.status === 200) await noteMaker(parts, alias, null);
  return passBack(reply, await audited(parts, caller, { action: "alias.remove", roomId, answer }));
};

const setListed: ActHandler = async (parts, caller, request, reply) => {
  const roomId = roomIdFrom(param(request, "roomId"));
  await requireDeed(parts, caller, roomId, { action: "room-state" });
  const body = await readJson(request, BODY_LIMIT);
  const answer = await parts.upstream.answer("PUT", pathOf(request, NONE), jsonOf(body));
  return passBack(reply, await audited(parts, caller, { action: "directory.list", roomId, answer }));
};

function ownAlias({ own }: ActParts, text: string): RoomAlias {
  if (!isRoomAlias(text)) throw new EmissaryError("bad-request", `${JSON.stringify(text)} is not a room alias.`);
  if (serverOf(text) === serverOf(own)) return text;
  throw new EmissaryError("bad-request", `The alias ${text} is another server's; ours end with :${serverOf(own)}.`);
}

/** Which tenant made an alias is kept in the pseudouser's own account data, beside the alias at the homeserver. */
function makerPath({ own }: ActParts, alias: RoomAlias): string {
  return `/_matrix/client/v3/user/${encodeURIComponent(own)}/account_data/${encodeURIComponent(`org.matrix.msc1777.alias:${alias}`)}`;
}

async function makerOf(parts: ActParts, alias: RoomAlias): Promise<string | null> {
  const { status, body } = await parts.upstream.answer("GET", makerPath(parts, alias), null);
  if (status === 200) return stringAt(parsedObject(body), ON_BEHALF_OF);
  if (status === 404) return null;
  throw new EmissaryError("homeserver-error", "Whose this alias is cannot be told now; try again.");
}

async function noteMaker(parts: ActParts, alias: RoomAlias, tenant: TenantId | null): Promise<void> {
  const content = tenant === null ? {} : { [ON_BEHALF_OF]: tenant };
  await parts.upstream.answer("PUT", makerPath(parts, alias), jsonOf(content));
}

type Answer = Awaited<ReturnType<ActParts["upstream"]["answer"]>>;

interface Done {
  readonly action: string;
  readonly roomId: RoomId;
  readonly answer: Answer;
}

async function audited({ audit }: ActParts, { tenant }: Caller, { action, roomId, answer }: Done): Promise<Answer> {
  const { status, body } = answer;
  const outcome = status === 200 ? "done" : (stringAt(parsedObject(body), "errcode") ?? String(status));
  await audit.note({ actor: `tenant:${tenant.id}`, action, outcome, roomId, detail: {} });
  return answer;
}

function passBack(reply: FastifyReply, { status, headers, body }: Answer): FastifyReply {
  return reply.code(status).headers(headers).send(body);
}

/** Whether the homeserver keeps an alias for others: Synapse gives an appservice those of its registered namespaces only. */
export function isExclusive({ status, body }: Pick<Answer, "status" | "body">): boolean {
  return status === 400 && stringAt(parsedObject(body), "errcode") === "M_EXCLUSIVE";
}

/** What the homeserver itself answers where it gives us its reserved aliases only: it gives us all, for the operator to mend them. */
export const EXCLUSIVE: Answer = {
  status: 400,
  headers: {},
  body: jsonOf({ errcode: "M_EXCLUSIVE", error: "This alias is not reserved for tenants." }),
};

/** What the tenant is told then: it can do nothing, but the operator can. */
export function notReserved(alias: string): EmissaryError {
  return new EmissaryError(
    "not-in-namespace",
    `Tenants make aliases that are reserved for them only, and ${alias} is not. Reserve a namespace (emissary register --force --reserve '#…'), and restart the homeserver and Emissary.`,
  );
}

function jsonOf(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

const SEARCH: ReadonlySet<string> = new Set(["limit", "since", "server"]);

/** Names of rooms, and the directory of public ones. */
export const aliasEndpoints: readonly Endpoint[] = [
  {
    method: "GET",
    path: "/directory/room/:alias",
    how: "passed",
    note: "where an alias points",
    handler: passRead(NONE),
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
  { method: "GET", path: "/publicRooms", how: "passed", note: "the public rooms", handler: passRead(SEARCH) },
  {
    method: "POST",
    path: "/publicRooms",
    how: "passed",
    note: "the same, searched",
    handler: passRead(SEARCH, "POST"),
  },
  {
    method: "GET",
    path: "/directory/list/room/:roomId",
    how: "passed",
    note: "whether a room is among the public ones",
    handler: passRead(NONE),
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
