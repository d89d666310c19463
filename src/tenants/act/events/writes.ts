import { roomPath } from "../../../http/client-paths.ts";
import { hash } from "node:crypto";
import type { FastifyReply } from "fastify";
import { txnIdAt } from "../../../model/attribution.ts";
import { EmissaryError } from "../../../model/errors.ts";
import { isEventId, type RoomId } from "../../../model/ids.ts";
import { stringAt, without, type JsonObject } from "../../../model/json.ts";
import { isCreatorIn, levelsToSet, MAKER_LEVEL, POWER_LEVELS } from "../../../model/power-levels.ts";
import type { Room } from "../../../model/room.ts";
import type { TenantAction } from "../../../model/tenant.ts";
import { roomIdFrom } from "../../../attendance/leases/target.ts";
import { readJson } from "../../../http/body.ts";
import { param, queryAll } from "../../../http/server.ts";
import { sendWhole, type WholeAnswer } from "../../../http/upstream.ts";
import { personasOf, requireAnyDeed, requireDeed, requireRoom } from "../access.ts";
import { passed, type ActHandler, type Call, type Endpoint } from "../act.ts";
import { doAudited, noteAnswer, type AuditNote } from "../checks/audited.ts";
import { notSentBy, requireFreeState, requireTarget } from "../checks/ownership.ts";
import { answerOf, type Sending } from "../checks/repeats.ts";
import { objectFrom, stateEvent, undetermined } from "../homeserver.ts";
import { costumeOf, noMembership, outgoing, redactedTarget, REDACTION, type Target, type Way } from "../outgoing.ts";
import { NONE, pathOf } from "../pass.ts";
import { isDoubled, type Shared } from "./annotations.ts";

/** An event is at most 64 KiB (spec, "Size limits"). Larger bodies are refused before they are read whole. */
const EVENT_BODY_LIMIT = 128 * 1024;

/** Event types that are sent unencrypted in encrypted rooms, too. */
const CLEAR_TYPES: ReadonlySet<string> = new Set(["m.room.encrypted", "m.reaction", REDACTION]);

/** Which of these a redaction needs depends on the event's sender. */
const REDACTIONS = ["redact", "redact-others"] as const;

/** The only query parameter of writes; it needs a grant of its own. */
const TIMESTAMP: ReadonlySet<string> = new Set(["ts"]);

const send: ActHandler = async (call) => {
  const { request } = call;
  const type = param(request, "eventType");
  const room = await requireRoom(call, "send", type);
  const { roomId } = room;
  if (!CLEAR_TYPES.has(type) && (await isEncrypted(call, room))) {
    throw new EmissaryError(
      "room-encrypted",
      `The room ${roomId} is encrypted, and tenants have no keys: ${type} would go there in the clear, so it is refused. Reactions and redactions go through. Encryption cannot be switched off: make a new room without it, and invite people there.`,
    );
  }
  if (type === REDACTION) await requireAnyDeed(call, roomId, REDACTIONS);
  const allowed = await parametersFor(call, roomId, type);
  const content = await readJson(request, EVENT_BODY_LIMIT);
  const sending = sendingOf(call, "send", roomId, type);
  const path = pathOf(request, allowed, { txnId: sending.txnId });
  return sendOnce(call, { way: "send", path, roomId, content, action: "event.send", type, sending });
};

const redact: ActHandler = async (call) => {
  const { request } = call;
  const roomId = roomIdFrom(param(request, "roomId"));
  const content = await readJson(request, EVENT_BODY_LIMIT);
  await requireAnyDeed(call, roomId, REDACTIONS);
  const redacts = param(request, "eventId");
  if (!isEventId(redacts)) {
    throw new EmissaryError("bad-parameter", `${JSON.stringify(redacts)} is not the ID of an event to redact.`);
  }
  const sending = sendingOf(call, "redact", roomId, redacts);
  const path = pathOf(request, NONE, { txnId: sending.txnId });
  const targets = [redactedTarget(redacts)];
  return sendOnce(call, {
    way: "redact",
    path,
    roomId,
    content,
    action: "event.redact",
    type: REDACTION,
    targets,
    sending,
  });
};

const setState: ActHandler = async (call) => {
  const { parts, request, reply } = call;
  const roomId = roomIdFrom(param(request, "roomId"));
  const type = param(request, "eventType");
  if (type === "m.room.member") throw noMembership();
  await requireDeed(call, roomId, stateAction(type), type);
  const allowed = await parametersFor(call, roomId, type);
  const content = await readJson(request, EVENT_BODY_LIMIT);
  const path = pathOf(request, allowed);
  const state = path.replace(/\?.*$/, "");
  // Otherwise two tenants that set the same state at once would both find it free.
  return parts.mutex.run(state.replace(/\/$/, ""), async () => {
    await requireFreeState(call, state);
    const isLevels = state.replace(/\/$/, "").endsWith(`/state/${POWER_LEVELS}`);
    const levels = isLevels ? { levels: await levelsFor(call, roomId) } : {};
    return sendWhole(
      reply,
      await put(call, { way: "state", path, roomId, content, action: "state.set", type, ...levels }),
    );
  });
};

/** @param way what identifies the endpoint among one caller's calls: its way, room, and type or event */
function sendingOf({ tenant, user, request }: Call, ...way: readonly string[]): Sending {
  const owner = { tenant: tenant.id, persona: user === tenant.sender ? null : user };
  const endpoint = hash("sha256", way.join("\n"), "base64url").slice(0, 8);
  return { owner, txnId: txnIdAt(owner, endpoint, param(request, "txnId")) };
}

/** Returns how to write power levels for the homeserver, which does not know the tenant's users. */
async function levelsFor(call: Call, roomId: RoomId): Promise<(content: JsonObject) => JsonObject> {
  const { parts, tenant } = call;
  const { upstream, own } = parts;
  const what = `the power levels of ${roomId}`;
  const set = await objectFrom(upstream, roomPath(roomId, "state", POWER_LEVELS, ""), what);
  const create = await stateEvent(upstream, roomId, "m.room.create", "");
  if (create === null) throw undetermined(what);
  const isCreator = isCreatorIn(create as unknown as JsonObject, own);
  // Without power levels, only the room's creator has power (spec, "m.room.power_levels").
  const current = set ?? (!isCreator && create.sender === own ? { users: { [own]: MAKER_LEVEL } } : {});
  return (content) => levelsToSet(content, current, { own, tenant, isPersona: personasOf(call), isCreator });
}

/**
 * Setting an event's timestamp (spec, AS API, "Timestamp massaging") needs a grant.
 * @throws EmissaryError `forbidden`, `bad-parameter`
 */
async function parametersFor(call: Call, roomId: RoomId, type: string): Promise<ReadonlySet<string>> {
  const [ts, ...more] = queryAll(call.request, "ts");
  if (ts === undefined) return NONE;
  await requireDeed(call, roomId, "timestamp", type);
  if (more.length > 0 || !/^\d{1,15}$/.test(ts)) {
    throw new EmissaryError("bad-parameter", "ts must be one number of milliseconds since 1970.");
  }
  return TIMESTAMP;
}

interface Write extends Omit<AuditNote, "detail"> {
  readonly way: Way;
  readonly path: string;
  readonly content: JsonObject;
  readonly type: string;
  /** Events that the call itself names, besides its content's. */
  readonly targets?: readonly Target[];
  readonly levels?: (content: JsonObject) => JsonObject;
}

async function sendOnce(call: Call, write: Write & { readonly sending: Sending }): Promise<FastifyReply> {
  return sendWhole(call.reply, await call.parts.repeats.once(write.sending.txnId, () => put(call, write)));
}

/** Sends an event as the pseudouser, marked as the tenant's and, for a persona, with its current profile. */
async function put(
  call: Call,
  { way, path, content, type, targets = [], levels, ...deed }: Write,
): Promise<WholeAnswer> {
  const { parts, tenant, user } = call;
  const { annotations, personas } = parts;
  const { roomId, sending } = deed;
  const costume = costumeOf(call, type, personasOf(call));
  const sent = outgoing(way, content, {
    ...costume,
    // The sender's messages show as the pseudouser's own.
    profile: costume.isSender ? costume.profile : await personas.profile(tenant.id, user),
    fallback: parts.personaFallback,
    ...(levels && { levels }),
  });
  const note = { ...deed, detail: { type } };
  const targeted = [...targets, ...sent.targets];
  const [redacted] = type === REDACTION ? targeted : [];
  const shared = redacted === undefined ? null : await annotations.find(roomId, redacted.eventId);
  if (shared?.owner !== null && shared !== null && sending !== undefined) {
    await requireDeed(call, roomId, "redact");
    return takeBack(call, shared, { ...note, sending }, sent.content);
  }
  for (const target of targeted) {
    const named = await requireTarget(call, roomId, target);
    if (target.mustBe === "redactable") await requireRedaction(call, roomId, named);
  }
  // Its own owner took it back, and it remains for others.
  if (shared !== null) return answerOf(await annotations.takeBack(shared, sent.content));
  return doAudited(call, {
    ...note,
    path,
    body: sent.content,
    otherwise: async (answer) => {
      if (sending === undefined || !isDoubled(answer)) return null;
      const eventId = await annotations.double({ roomId, type, content: sent.content, ...sending });
      return eventId === null ? null : answerOf(eventId);
    },
  });
}

/**
 * Redacting other people's events needs an action of its own; their state, also the action for setting it. Memberships
 * are exempt: redacting them removes only the profile.
 */
async function requireRedaction(call: Call, roomId: RoomId, event: JsonObject): Promise<void> {
  const isOwn = event["sender"] === call.parts.own;
  await requireDeed(call, roomId, isOwn ? "redact" : "redact-others");
  const type = stringAt(event, "type") ?? "";
  if (isOwn || event["state_key"] === undefined || type === "m.room.member") return;
  await requireDeed(call, roomId, stateAction(type), type);
}

function stateAction(type: string): TenantAction {
  return type.startsWith("m.room.") ? "room-state" : "state";
}

/** A shared annotation stays at the homeserver until its last user takes it back. */
async function takeBack(
  call: Call,
  shared: Shared,
  note: AuditNote & { readonly sending: Sending },
  content: JsonObject,
): Promise<WholeAnswer> {
  const { annotations } = call.parts;
  if (shared.owner?.tenant !== call.tenant.id) throw notSentBy(call.tenant, shared.eventId, "redacted");
  if (shared.others > 0) {
    const answer = answerOf(await annotations.takeBack(shared, content));
    await noteAnswer(call, note, answer);
    return answer;
  }
  return doAudited(call, {
    ...note,
    path: roomPath(note.roomId, "redact", shared.realId, note.sending.txnId),
    body: without(content, "redacts"),
    otherwise: async ({ status }) => {
      if (status === 200) await annotations.takeBack(shared, content);
      return null;
    },
  });
}

/** Asks the ledger or, while the room's state is still loading, the homeserver. */
async function isEncrypted({ parts }: Call, { roomId, encryption, load }: Room): Promise<boolean> {
  if (encryption !== null || load === "loaded") return encryption !== null;
  const path = roomPath(roomId, "state", "m.room.encryption", "");
  return (await objectFrom(parts.upstream, path, `whether ${roomId} is encrypted`)) !== null;
}

const STATE_NOTE = "with the state or room-state action; never memberships";

export const writeEndpoints: readonly Endpoint[] = [
  passed(
    "PUT /rooms/:roomId/send/:eventType/:txnId",
    "sends as the pseudouser, marked as the tenant's and the persona's; refused in the clear where the room is encrypted",
    send,
  ),
  passed(
    "PUT /rooms/:roomId/redact/:eventId/:txnId",
    "of the tenant's own events; of other people's with the redact-others action; never another tenant's",
    redact,
  ),
  passed("PUT /rooms/:roomId/state/:eventType", STATE_NOTE, setState),
  passed("PUT /rooms/:roomId/state/:eventType/:stateKey", STATE_NOTE, setState),
];
