import type { FastifyReply, FastifyRequest } from "fastify";
import { EmissaryError } from "../../model/errors.ts";
import { isEventId, type RoomId } from "../../model/ids.ts";
import { isJsonObject, parsedObject, stringAt, type JsonObject } from "../../model/json.ts";
import type { Room } from "../../model/room.ts";
import type { Tenant } from "../../model/tenant.ts";
import { roomIdFrom } from "../../leases/target.ts";
import { readJson } from "../../platform/http/body.ts";
import { param } from "../../platform/http/server.ts";
import { requireRoom } from "./access.ts";
import type { ActHandler, ActParts, Endpoint } from "./act.ts";
import { requireAction } from "./caller.ts";
import { markedFor, requireFreeState, requireOwnEvent } from "./ownership.ts";
import { pathOf } from "./path.ts";

/** An event is at most 64 KiB (spec, "Size limits"); what is larger is refused before it is read whole. */
const EVENT_BODY_LIMIT = 128 * 1024;

/** Event types that stand in the clear in encrypted rooms, too. */
const CLEAR_TYPES = new Set(["m.room.encrypted", "m.reaction", "m.room.redaction"]);

/** Writes take no query parameters from tenants: `ts` and delays would need a grant of their own. */
const NONE: ReadonlySet<string> = new Set();

const send: ActHandler = async (parts, tenant, request, reply) => {
  requireAction(tenant, "send");
  const roomId = roomIdFrom(param(request, "roomId"));
  const type = param(request, "eventType");
  const room = await requireRoom(parts, tenant, roomId);
  if (!CLEAR_TYPES.has(type) && (await isEncrypted(parts, room))) {
    throw new EmissaryError(
      "room-encrypted",
      `The room ${roomId} is encrypted, and ${type} would go there in the clear: it is refused. Send m.room.encrypted, or use an unencrypted room.`,
    );
  }
  const content = await readJson(request, EVENT_BODY_LIMIT);
  const edited = editedEvent(content);
  if (edited !== null) await requireOwnEvent(parts.upstream, parts.own, tenant, roomId, edited, "edited");
  if (type === "m.room.redaction") await requireOwnRedaction(parts, tenant, roomId, stringAt(content, "redacts"));
  const path = pathOf(request, NONE, { txnId: txnIdOf(tenant, request) });
  return put(parts, tenant, reply, { path, roomId, content, action: "event.send", type });
};

const redact: ActHandler = async (parts, tenant, request, reply) => {
  const roomId = roomIdFrom(param(request, "roomId"));
  await requireRoom(parts, tenant, roomId);
  const content = await readJson(request, EVENT_BODY_LIMIT);
  await requireOwnRedaction(parts, tenant, roomId, param(request, "eventId"));
  const path = pathOf(request, NONE, { txnId: txnIdOf(tenant, request) });
  return put(parts, tenant, reply, { path, roomId, content, action: "event.redact", type: "m.room.redaction" });
};

const setState: ActHandler = async (parts, tenant, request, reply) => {
  const roomId = roomIdFrom(param(request, "roomId"));
  const type = param(request, "eventType");
  if (type === "m.room.member") {
    throw new EmissaryError(
      "forbidden",
      "Memberships are not set as state: the pseudouser's belongs to attendance, and others' need their own calls.",
    );
  }
  requireAction(tenant, type.startsWith("m.room.") ? "room-state" : "state");
  await requireRoom(parts, tenant, roomId);
  const content = await readJson(request, EVENT_BODY_LIMIT);
  const path = pathOf(request, NONE);
  await requireFreeState(parts.upstream, tenant, path);
  return put(parts, tenant, reply, { path, roomId, content, action: "state.set", type });
};

const receipt: ActHandler = async (parts, tenant, request, reply) => {
  requireAction(tenant, "read");
  await requireRoom(parts, tenant, roomIdFrom(param(request, "roomId")));
  const body = Buffer.from(JSON.stringify(await readJson(request, EVENT_BODY_LIMIT)));
  return parts.upstream.asPseudouser(
    { method: "POST", path: pathOf(request, NONE), headers: { "content-type": "application/json" }, body },
    reply,
  );
};

const typing: ActHandler = async (parts, tenant, request, reply) => {
  requireAction(tenant, "send");
  await requireRoom(parts, tenant, roomIdFrom(param(request, "roomId")));
  if (param(request, "userId") !== tenant.sender) {
    throw new EmissaryError("forbidden", `Tenant ${tenant.id} can let ${tenant.sender} type, nobody else.`);
  }
  const body = Buffer.from(JSON.stringify(await readJson(request, EVENT_BODY_LIMIT)));
  const path = pathOf(request, NONE, { userId: parts.own });
  return parts.upstream.asPseudouser(
    { method: "PUT", path, headers: { "content-type": "application/json" }, body },
    reply,
  );
};

interface Write {
  readonly path: string;
  readonly roomId: RoomId;
  readonly content: JsonObject;
  readonly action: string;
  readonly type: string;
}

/** Sends an event marked as the tenant's, and audits what became of it before the tenant hears of it. */
async function put(parts: ActParts, tenant: Tenant, reply: FastifyReply, write: Write): Promise<FastifyReply> {
  const body = Buffer.from(JSON.stringify(markedFor(tenant, write.content)));
  const answer = await parts.upstream.answer("PUT", write.path, body);
  const said = parsedObject(answer.body);
  await parts.audit.note({
    actor: `tenant:${tenant.id}`,
    action: write.action,
    outcome: answer.status === 200 ? "done" : (stringAt(said, "errcode") ?? String(answer.status)),
    roomId: write.roomId,
    detail: { type: write.type, event_id: stringAt(said, "event_id") },
  });
  return reply.code(answer.status).headers(answer.headers).send(answer.body);
}

/** Redactions are sent by a call of their own, and by sending their event; either way they are of the tenant's own events. */
async function requireOwnRedaction(
  parts: ActParts,
  tenant: Tenant,
  roomId: RoomId,
  redacts: string | null,
): Promise<void> {
  requireAction(tenant, "redact");
  if (redacts === null || !isEventId(redacts)) {
    throw new EmissaryError("bad-request", `${JSON.stringify(redacts)} is not the ID of an event to redact.`);
  }
  await requireOwnEvent(parts.upstream, parts.own, tenant, roomId, redacts, "redacted");
}

/** The tenants share one access token at the homeserver, and with it one space of transaction IDs. */
function txnIdOf(tenant: Tenant, request: FastifyRequest): string {
  return `${tenant.id}~${param(request, "txnId")}`;
}

/** The event that this content replaces (spec, "Event replacements"), or null. */
function editedEvent(content: JsonObject): string | null {
  const relation = content["m.relates_to"];
  return isJsonObject(relation) && relation["rel_type"] === "m.replace" ? stringAt(relation, "event_id") : null;
}

/** From the ledger, or, while the room's state is still on its way there, from the homeserver. */
async function isEncrypted(parts: ActParts, room: Room): Promise<boolean> {
  if (room.encryption !== null) return true;
  if (room.load === "loaded") return false;
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room.roomId)}/state/m.room.encryption/`;
  const { status } = await parts.upstream.answer("GET", path, null);
  if (status !== 200 && status !== 404) {
    throw new EmissaryError("homeserver-error", "Whether the room is encrypted cannot be told now; try again.");
  }
  return status === 200;
}

export const writeEndpoints: readonly Endpoint[] = [
  {
    method: "PUT",
    path: "/rooms/:roomId/send/:eventType/:txnId",
    how: "passed",
    note: "sends as the pseudouser, marked as the tenant's; refused in the clear where the room is encrypted",
    handler: send,
  },
  {
    method: "PUT",
    path: "/rooms/:roomId/redact/:eventId/:txnId",
    how: "passed",
    note: "of the tenant's own events",
    handler: redact,
  },
  {
    method: "PUT",
    path: "/rooms/:roomId/state/:eventType",
    how: "passed",
    note: "with the state or room-state action; never memberships",
    handler: setState,
  },
  {
    method: "PUT",
    path: "/rooms/:roomId/state/:eventType/:stateKey",
    how: "passed",
    note: "with the state or room-state action; never memberships",
    handler: setState,
  },
  {
    method: "POST",
    path: "/rooms/:roomId/receipt/:receiptType/:eventId",
    how: "passed",
    note: "as the pseudouser",
    handler: receipt,
  },
  {
    method: "PUT",
    path: "/rooms/:roomId/typing/:userId",
    how: "passed",
    note: "the tenant's sender becomes the pseudouser",
    handler: typing,
  },
];
