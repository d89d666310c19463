import type { FastifyReply } from "fastify";
import { withLimit } from "../../../model/clock.ts";
import { EmissaryError } from "../../../model/errors.ts";
import { isRoomAlias, isRoomId, serverOf, type RoomAlias, type RoomId, type UserId } from "../../../model/ids.ts";
import { isJsonObject, parsedObject, stringAt, type JsonObject, written } from "../../../model/json.ts";
import type { LeaseWish } from "../../../model/lease.ts";
import { hasCreatorPower } from "../../../model/power-levels.ts";
import { roomIdFrom } from "../../../attendance/leases/target.ts";
import { readJson } from "../../../http/body.ts";
import { param } from "../../../http/server.ts";
import { type WholeAnswer, sendWhole } from "../../../http/upstream.ts";
import { requireAction, requireDeed } from "../access.ts";
import type { ActHandler, ActParts, Endpoint } from "../act.ts";
import { EXCLUSIVE, isExclusive, notReserved } from "./aliases.ts";
import { holderOf, type Caller } from "../caller.ts";
import { creationOf, upgradeOf } from "./creation.ts";
import { NONE, pathOf } from "../path.ts";
import { stateEvent } from "../events/state-event.ts";

/** A room's first state may be several events of 64 KiB. */
const CREATE_BODY_LIMIT = 512 * 1024;
const UPGRADE_BODY_LIMIT = 16 * 1024;
/** How long the room's creator waits until the pseudouser is known to be in it, milliseconds. */
const PRESENT_WAIT_MS = 60_000;

const createRoom: ActHandler = async (parts, caller, request, reply) => {
  requireAction(caller, "create");
  const body = await readJson(request, CREATE_BODY_LIMIT);
  const name = stringAt(body, "room_alias_name");
  const alias = name === null ? null : aliasFrom(`#${name}:${serverOf(parts.own)}`);
  const holder = holderOf(caller.tenant);
  await requireSpace(parts, caller, "room.create", null);
  const creation = creationOf(body, {
    own: parts.own,
    caller,
    alias,
    isPersona: personaOf(parts, caller),
    isHidden: hiddenOf(parts, caller),
    creatorHasLevel: !hasCreatorPower(stringAt(body, "room_version") ?? (await defaultVersion(parts))),
  });
  const path = pathOf(request, NONE);
  if (alias !== null && !parts.isReservedAlias(alias)) {
    const refusal = { path, body: creation, action: "room.create", field: "room_id", refusal: EXCLUSIVE } as const;
    await make(parts, caller, refusal);
    throw notReserved(alias);
  }
  const work = (from: number) => async (note: (roomId: RoomId) => Promise<void>) => {
    const { roomId, answer } = await make(parts, caller, {
      path,
      body: creation,
      action: "room.create",
      field: "room_id",
    });
    if (roomId === null) return { isWhole: false, answer };
    await note(roomId);
    await learn(parts, roomId);
    await hold(parts, caller, { roomId, holder, via: [], ttl: null, from }, reply);
    return { isWhole: true, answer };
  };
  const answer = await whileMaking(parts, caller, (from) => parts.halfMade.making(caller.tenant.id, alias, work(from)));
  if (alias !== null && isExclusive(answer)) throw notReserved(alias);
  return sendWhole(reply, answer);
};

/** The homeserver refuses an invalid alias. One with half a surrogate pair cannot even be sent. */
function aliasFrom(text: string): RoomAlias | null {
  return isRoomAlias(text) && text.isWellFormed() ? text : null;
}

/** All tenants' leases and users follow once the new room is known. The request waits for the caller's lease. */
const upgrade: ActHandler = async (parts, caller, request, reply) => {
  const roomId = roomIdFrom(param(request, "roomId"));
  requireAction(caller, "create");
  await requireDeed(parts, caller, roomId, { action: "room-state", type: "m.room.tombstone" });
  const body = upgradeOf(await readJson(request, UPGRADE_BODY_LIMIT), {
    isPersona: personaOf(parts, caller),
    isHidden: hiddenOf(parts, caller),
  });
  await requireSpace(parts, caller, "room.upgrade", roomId);
  return whileMaking(parts, caller, async (from) => {
    const made = await make(parts, caller, {
      path: pathOf(request, NONE),
      body,
      action: "room.upgrade",
      field: "replacement_room",
      from: roomId,
    });
    if (made.roomId === null) return sendWhole(reply, made.answer);
    try {
      await learn(parts, made.roomId);
      await parts.recorder.observe(() => stateEvent(parts.upstream, roomId, "m.room.tombstone", ""));
    } catch (error) {
      // The room is replaced, and the homeserver's transactions repeat this until they are taken.
      if (!isOurFault(error)) throw error;
    }
    await untilFollowed(parts, caller, made.roomId, reply);
    await parts.leases.reachBack(made.roomId, holderOf(caller.tenant), from);
    return sendWhole(reply, made.answer);
  });
};

/**
 * While a room is made, the keeper does not leave it as unused, and the tenant's feed does not pass its first events.
 * @param deed called with the journal's number before the room's first event
 */
async function whileMaking<T>(
  { keeper, feed }: ActParts,
  { tenant }: Caller,
  deed: (from: number) => Promise<T>,
): Promise<T> {
  const making = await feed.making(tenant.id);
  try {
    return await keeper.whileMaking(() => deed(making.from));
  } finally {
    making.done();
  }
}

/** Checks the tenant's limit before the room is made, which would have to be left again. Audits a refusal. */
async function requireSpace(
  { desk, audit }: ActParts,
  { tenant }: Caller,
  action: Making["action"],
  roomId: RoomId | null,
): Promise<void> {
  try {
    await desk.requireSpace(holderOf(tenant));
  } catch (error) {
    if (error instanceof EmissaryError && error.reason !== null) {
      await audit.note({ actor: `tenant:${tenant.id}`, action, outcome: error.reason, roomId, detail: {} });
    }
    throw error;
  }
}

interface Making {
  readonly path: string;
  readonly body: JsonObject;
  readonly action: "room.create" | "room.upgrade";
  /** The key of the new room in the answer. */
  readonly field: "room_id" | "replacement_room";
  /** The room that is replaced. */
  readonly from?: RoomId;
  /** A ready answer, if the homeserver need not be asked. */
  readonly refusal?: WholeAnswer;
}

/** Asks the homeserver for the room and audits the outcome. The room is null if none was made. */
async function make(
  parts: ActParts,
  { tenant }: Caller,
  { path, body, action, field, from, refusal }: Making,
): Promise<{ readonly answer: WholeAnswer; readonly roomId: RoomId | null }> {
  const answer = refusal ?? (await parts.upstream.answer("POST", path, Buffer.from(written(body))));
  const said = parsedObject(answer.body);
  const named = stringAt(said, field);
  const roomId = answer.status === 200 && named !== null && isRoomId(named) ? named : null;
  await parts.audit.noteDone({
    actor: `tenant:${tenant.id}`,
    action,
    outcome: roomId !== null ? "done" : (stringAt(said, "errcode") ?? String(answer.status)),
    roomId: from ?? roomId,
    detail: from === undefined ? {} : { replacement_room: roomId },
  });
  return { answer, roomId };
}

/**
 * Records the room's tenant and the pseudouser's membership without waiting for the homeserver's transaction. The
 * former gives the tenant its right to a private room.
 */
async function learn(parts: ActParts, roomId: RoomId): Promise<void> {
  await parts.recorder.observe(() => stateEvent(parts.upstream, roomId, "m.room.create", ""));
  await parts.recorder.observe(() => stateEvent(parts.upstream, roomId, "m.room.member", parts.own));
}

/** Takes the tenant's lease, enters its user, and waits until the keeper sees both. */
async function hold(parts: ActParts, { tenant, user }: Caller, wish: LeaseWish, reply: FastifyReply): Promise<void> {
  let lease = await parts.desk.take(wish);
  while (!(await parts.personas.enter(tenant.id, wish.roomId, user))) lease = await parts.desk.take(wish);
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort());
  await parts.keeper.untilPresent(lease, PRESENT_WAIT_MS, gone.signal);
}

/** Waits until the tenant's lease is in the new room. The room exists anyway, so the wait is limited. */
async function untilFollowed(
  { desk, leases, clock }: ActParts,
  { tenant }: Caller,
  roomId: RoomId,
  reply: FastifyReply,
): Promise<void> {
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort());
  await withLimit(clock, PRESENT_WAIT_MS, gone.signal, async (limit) => {
    const over = AbortSignal.any([limit, gone.signal]);
    while (!over.aborted) {
      const changed = desk.changed.next(over);
      if ((await leases.find(roomId, holderOf(tenant))) !== null) return;
      await changed;
    }
  });
}

/** Whether not the homeserver refused, but Emissary failed to write. */
function isOurFault(error: unknown): error is EmissaryError {
  return error instanceof EmissaryError && error.code === "internal";
}

function personaOf(parts: ActParts, { tenant }: Caller): (userId: UserId) => boolean {
  return (userId) => parts.tenants.isPersona(tenant, userId);
}

function hiddenOf({ tenants }: ActParts, { tenant }: Caller): (userId: UserId) => boolean {
  return (userId) => tenants.isOthers(tenant, userId);
}

/** Returns the default room version; 1 if the homeserver does not say (spec, "m.room_versions capability"). */
async function defaultVersion(parts: ActParts): Promise<string> {
  const { status, body } = await parts.upstream.answer("GET", "/_matrix/client/v3/capabilities", null);
  const capabilities = parsedObject(body)["capabilities"] ?? null;
  const versions = isJsonObject(capabilities) ? (capabilities["m.room_versions"] ?? null) : null;
  if (status !== 200) {
    throw new EmissaryError(
      "homeserver-error",
      "Which version a new room has cannot be told now: name it as room_version, or try again.",
    );
  }
  return (isJsonObject(versions) ? stringAt(versions, "default") : null) ?? "1";
}

/** Makes rooms. In a room made for it, a tenant may do what the room's creator may (policy/permit.ts). */
export const roomEndpoints: readonly Endpoint[] = [
  {
    method: "POST",
    path: "/createRoom",
    how: "passed",
    note: "as the pseudouser, marked as the tenant's; takes the tenant's lease; its own users are taken out of the invites",
    handler: createRoom,
  },
  {
    method: "POST",
    path: "/rooms/:roomId/upgrade",
    how: "passed",
    note: "with the create and room-state actions; the leases of all tenants follow to the new room, as policy allows them there",
    handler: upgrade,
  },
];
