import type { FastifyReply, FastifyRequest } from "fastify";
import { EmissaryError } from "../../../model/errors.ts";
import { isEventId, type RoomId, type UserId } from "../../../model/ids.ts";
import { parsedObject, stringAt, without, type JsonObject } from "../../../model/json.ts";
import { noMembership, outgoing, redactedTarget, REDACTION, type Target, type Way } from "../outgoing.ts";
import type { Profile } from "../../../model/persona.ts";
import { isCreatorIn, levelsToSet, MAKER_LEVEL, POWER_LEVELS } from "../../../model/power-levels.ts";
import type { Room } from "../../../model/room.ts";
import type { Tenant, TenantAction } from "../../../model/tenant.ts";
import { roomIdFrom } from "../../../attendance/leases/target.ts";
import { readJson } from "../../../http/body.ts";
import { param, queryAll } from "../../../http/server.ts";
import { requireAnyDeed, requireDeed } from "../access.ts";
import type { ActHandler, ActParts, Endpoint } from "../act.ts";
import { sendWhole, type WholeAnswer } from "../../../http/upstream.ts";
import { doAudited, noteAnswer } from "../checks/audited.ts";
import { answerOf, sendingOf, type Sending } from "../checks/repeats.ts";
import type { Caller } from "../caller.ts";
import { notSentBy, requireFreeState, requireTarget } from "../checks/ownership.ts";
import { isDoubled, type Shared } from "./annotations.ts";
import { NONE, pathOf } from "../path.ts";
import { stateEvent } from "./state-event.ts";

/** An event is at most 64 KiB (spec, "Size limits"). Larger bodies are refused before they are read whole. */
const EVENT_BODY_LIMIT = 128 * 1024;

/** Event types that are sent unencrypted in encrypted rooms, too. */
const CLEAR_TYPES = new Set(["m.room.encrypted", "m.reaction", "m.room.redaction"]);

/** Which of these a redaction needs depends on the event's sender. */
const REDACTIONS = ["redact", "redact-others"] as const;

/** The only query parameter of writes; it needs a grant of its own. */
const TIMESTAMP: ReadonlySet<string> = new Set(["ts"]);

/** The sender's messages show as the pseudouser's own. */
const NO_PROFILE: Profile = { displayname: null, avatarUrl: null };

const send: ActHandler = async (parts, caller, request, reply) => {
  const roomId = roomIdFrom(param(request, "roomId"));
  const type = param(request, "eventType");
  const room = await requireDeed(parts, caller, roomId, { action: "send", type });
  if (!CLEAR_TYPES.has(type) && (await isEncrypted(parts, room))) {
    throw new EmissaryError(
      "room-encrypted",
      `The room ${roomId} is encrypted, and tenants have no keys: ${type} would go there in the clear, so it is refused. Reactions and redactions go through. Encryption cannot be switched off: make a new room without it, and invite people there.`,
    );
  }
  if (type === REDACTION) await requireAnyDeed(parts, caller, roomId, REDACTIONS);
  const allowed = await parametersFor(parts, caller, roomId, type, request);
  const content = await readJson(request, EVENT_BODY_LIMIT);
  const sending = sendingOf(caller, request, "send", roomId, type);
  const path = pathOf(request, allowed, { txnId: sending.txnId });
  return sendOnce(parts, caller, reply, sending, { way: "send", path, roomId, content, action: "event.send", type });
};

const redact: ActHandler = async (parts, caller, request, reply) => {
  const roomId = roomIdFrom(param(request, "roomId"));
  const content = await readJson(request, EVENT_BODY_LIMIT);
  await requireAnyDeed(parts, caller, roomId, REDACTIONS);
  const redacts = param(request, "eventId");
  if (!isEventId(redacts)) {
    throw new EmissaryError("bad-parameter", `${JSON.stringify(redacts)} is not the ID of an event to redact.`);
  }
  const targets = [redactedTarget(redacts)];
  const sending = sendingOf(caller, request, "redact", roomId, redacts);
  const path = pathOf(request, NONE, { txnId: sending.txnId });
  const write = { path, roomId, content, action: "event.redact", type: REDACTION, targets } as const;
  return sendOnce(parts, caller, reply, sending, { way: "redact", ...write });
};

const setState: ActHandler = async (parts, caller, request, reply) => {
  const roomId = roomIdFrom(param(request, "roomId"));
  const type = param(request, "eventType");
  if (type === "m.room.member") throw noMembership();
  await requireDeed(parts, caller, roomId, { action: stateAction(type), type });
  const allowed = await parametersFor(parts, caller, roomId, type, request);
  const content = await readJson(request, EVENT_BODY_LIMIT);
  const path = pathOf(request, allowed);
  const state = path.replace(/\?.*$/, "");
  // Otherwise two tenants that set the same state at once would both find it free.
  return parts.mutex.run(state.replace(/\/$/, ""), async () => {
    await requireFreeState(parts.upstream, parts.own, caller.tenant, state);
    const isLevels = state.replace(/\/$/, "").endsWith(`/state/${POWER_LEVELS}`);
    const levels = isLevels ? await levelsFor(parts, caller, roomId) : null;
    const write = { path, roomId, content, action: "state.set", type, ...(levels === null ? {} : { levels }) };
    return sendWhole(reply, await put(parts, caller, { way: "state", ...write }));
  });
};

/** Returns how to write power levels for the homeserver, which does not know the tenant's users. */
async function levelsFor(
  { upstream, own, tenants }: ActParts,
  { tenant }: Caller,
  roomId: RoomId,
): Promise<(content: JsonObject) => JsonObject> {
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/state/${POWER_LEVELS}/`;
  const { status, body } = await upstream.answer("GET", path, null);
  const create = await stateEvent(upstream, roomId, "m.room.create", "");
  if ((status !== 200 && status !== 404) || create === null) {
    throw new EmissaryError("homeserver-error", "What power there is in the room cannot be told now; try again.");
  }
  const isCreator = isCreatorIn(create as unknown as JsonObject, own);
  const isPersona = (userId: UserId): boolean => tenants.isPersona(tenant, userId);
  // Without power levels, only the room's creator has power (spec, "m.room.power_levels").
  const none = !isCreator && create.sender === own ? { users: { [own]: MAKER_LEVEL } } : {};
  const current = status === 404 ? none : parsedObject(body);
  return (content) => levelsToSet(content, current, { own, tenant, isPersona, isCreator });
}

/**
 * Setting an event's timestamp (spec, AS API, "Timestamp massaging") needs a grant.
 * @throws EmissaryError `forbidden`, `bad-parameter`
 */
async function parametersFor(
  parts: ActParts,
  caller: Caller,
  roomId: RoomId,
  type: string,
  request: FastifyRequest,
): Promise<ReadonlySet<string>> {
  const [ts, ...more] = queryAll(request, "ts");
  if (ts === undefined) return NONE;
  await requireDeed(parts, caller, roomId, { action: "timestamp", type });
  if (more.length > 0 || !/^\d{1,15}$/.test(ts)) {
    throw new EmissaryError("bad-parameter", "ts is to be one number, of milliseconds since 1970.");
  }
  return TIMESTAMP;
}

interface Write {
  readonly way: Way;
  readonly path: string;
  readonly roomId: RoomId;
  readonly content: JsonObject;
  readonly action: string;
  readonly type: string;
  /** Events that the call itself names, besides its content's. */
  readonly targets?: readonly Target[];
  readonly levels?: (content: JsonObject) => JsonObject;
  /** If the request has a transaction ID. */
  readonly sending?: Sending;
}

async function sendOnce(
  parts: ActParts,
  caller: Caller,
  reply: FastifyReply,
  sending: Sending,
  write: Write,
): Promise<FastifyReply> {
  return sendWhole(reply, await parts.repeats.once(sending.txnId, () => put(parts, caller, { ...write, sending })));
}

/** Sends an event as the pseudouser, marked as the tenant's and, for a persona, with its current profile. */
async function put(
  parts: ActParts,
  caller: Caller,
  { way, path, roomId, content, action, type, targets = [], levels, sending }: Write,
): Promise<WholeAnswer> {
  const { tenant, user } = caller;
  const isSender = user === tenant.sender;
  const sent = outgoing(way, content, {
    type,
    tenant: tenant.id,
    user,
    isSender,
    isPersona: (userId) => parts.tenants.isPersona(tenant, userId),
    profile: isSender ? NO_PROFILE : await parts.personas.profile(tenant.id, user),
    fallback: parts.personaFallback,
    ...(levels === undefined ? {} : { levels }),
  });
  const deed = { roomId, action, detail: { type }, ...(sending === undefined ? {} : { sending }) };
  const targeted = [...targets, ...sent.targets];
  const [redacted] = type === REDACTION ? targeted : [];
  const shared = redacted === undefined ? null : await parts.annotations.find(roomId, redacted.eventId);
  if (shared?.owner !== null && shared !== null && sending !== undefined) {
    await requireDeed(parts, caller, roomId, { action: "redact" });
    return takeBack(parts, tenant, shared, { ...deed, sending, content: sent.content });
  }
  for (const target of targeted) {
    const named = await requireTarget(parts.upstream, parts.own, tenant, roomId, target);
    if (target.mustBe === "redactable") await requireRedaction(parts, caller, roomId, named);
  }
  // Its own owner took it back, and it remains for others.
  if (shared !== null) return answerOf(await parts.annotations.takeBack(shared, sent.content));
  return doAudited(parts, tenant, {
    ...deed,
    method: "PUT",
    path,
    body: sent.content,
    otherwise: async (answer) => {
      if (sending === undefined || !isDoubled(answer)) return null;
      const eventId = await parts.annotations.double({ roomId, type, content: sent.content, ...sending });
      return eventId === null ? null : answerOf(eventId);
    },
  });
}

/**
 * Redacting other people's events needs an action of its own; their state, also the action for setting it. Memberships
 * are exempt: redacting them removes only the profile.
 */
async function requireRedaction(parts: ActParts, caller: Caller, roomId: RoomId, event: JsonObject): Promise<void> {
  const isOwn = event["sender"] === parts.own;
  await requireDeed(parts, caller, roomId, { action: isOwn ? "redact" : "redact-others" });
  const type = stringAt(event, "type") ?? "";
  if (isOwn || event["state_key"] === undefined || type === "m.room.member") return;
  await requireDeed(parts, caller, roomId, { action: stateAction(type), type });
}

function stateAction(type: string): TenantAction {
  return type.startsWith("m.room.") ? "room-state" : "state";
}

/** A shared annotation stays at the homeserver until its last user takes it back. */
async function takeBack(
  parts: ActParts,
  tenant: Tenant,
  shared: Shared,
  write: Pick<Write, "roomId" | "action" | "content"> & { readonly sending: Sending; readonly detail: JsonObject },
): Promise<WholeAnswer> {
  const { roomId, content, sending } = write;
  if (shared.owner?.tenant !== tenant.id) throw notSentBy(tenant, shared.eventId, "redacted");
  if (shared.others > 0) {
    const answer = answerOf(await parts.annotations.takeBack(shared, content));
    await noteAnswer(parts.audit, tenant, write, answer);
    return answer;
  }
  const path = [roomId, "redact", shared.realId, sending.txnId].map(encodeURIComponent).join("/");
  return doAudited(parts, tenant, {
    ...write,
    method: "PUT",
    path: `/_matrix/client/v3/rooms/${path}`,
    body: without(content, "redacts"),
    otherwise: async ({ status }) => {
      if (status === 200) await parts.annotations.takeBack(shared, content);
      return null;
    },
  });
}

/** Asks the ledger or, while the room's state is still loading, the homeserver. */
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
    note: "sends as the pseudouser, marked as the tenant's and the persona's; refused in the clear where the room is encrypted",
    handler: send,
  },
  {
    method: "PUT",
    path: "/rooms/:roomId/redact/:eventId/:txnId",
    how: "passed",
    note: "of the tenant's own events; of other people's with the redact-others action; never another tenant's",
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
];
