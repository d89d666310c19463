import { withLimit } from "../../../model/clock.ts";
import { EmissaryError } from "../../../model/errors.ts";
import { isRoomAlias, isRoomId, serverOf, type RoomId } from "../../../model/ids.ts";
import { objectAt, parsedObject, stringAt, type JsonObject, written } from "../../../model/json.ts";
import { hasCreatorPower } from "../../../model/power-levels.ts";
import { roomIdFrom } from "../../../attendance/leases/target.ts";
import { readJson } from "../../../http/body.ts";
import { goneOf } from "../../../http/callers.ts";
import { param } from "../../../http/server.ts";
import { type WholeAnswer, sendWhole } from "../../../http/upstream.ts";
import { holderOf, personasOf, requireAction, requireDeed } from "../access.ts";
import { passed, type ActHandler, type ActParts, type Call, type Endpoint } from "../act.ts";
import { failureOf } from "../checks/audited.ts";
import { stateEvent, undetermined } from "../homeserver.ts";
import { pathOf, SMALL_BODY_LIMIT } from "../pass.ts";
import { enter, JOIN_WAIT_MS } from "../users/attendance.ts";
import { EXCLUSIVE, isExclusive, notReserved } from "./aliases.ts";
import { learnRoom } from "./half-made.ts";
import { creationOf, upgradeOf, type Creation } from "./creation.ts";

/** A room's first state may be several events of 64 KiB. */
const CREATE_BODY_LIMIT = 512 * 1024;

const createRoom: ActHandler = async (call) => {
  requireAction(call, "create");
  const { parts, tenant, user, request, reply } = call;
  const body = await readJson(request, CREATE_BODY_LIMIT);
  const name = stringAt(body, "room_alias_name");
  const named = `#${name ?? ""}:${serverOf(parts.own)}`;
  // The homeserver refuses an invalid alias. One with half a surrogate pair cannot even be sent.
  const alias = name !== null && isRoomAlias(named) && named.isWellFormed() ? named : null;
  await requireSpace(call, "room.create", null);
  const creation = creationOf(body, {
    own: parts.own,
    caller: { tenant, user },
    alias,
    ...usersOf(call),
    creatorHasLevel: !hasCreatorPower(stringAt(body, "room_version") ?? (await defaultVersion(parts))),
  });
  const making = { path: pathOf(request), body: creation, action: "room.create", field: "room_id" } as const;
  if (alias !== null && !parts.isReservedAlias(alias)) {
    await make(call, making, EXCLUSIVE);
    throw notReserved(alias);
  }
  const work = (from: number) => async (note: (roomId: RoomId) => Promise<void>) => {
    const { roomId, answer } = await make(call, making);
    if (roomId === null) return { isWhole: false, answer };
    await note(roomId);
    await learnRoom(parts, roomId);
    await enter(call, { roomId, holder: holderOf(tenant), via: [], ttl: null, from });
    return { isWhole: true, answer };
  };
  const answer = await whileMaking(call, (from) => parts.halfMade.making(tenant.id, alias, work(from)));
  if (alias !== null && isExclusive(answer)) throw notReserved(alias);
  return sendWhole(reply, answer);
};

/** All tenants' leases and users follow once the new room is known. The request waits for the caller's lease. */
const upgrade: ActHandler = async (call) => {
  const { parts, tenant, request, reply } = call;
  const from = roomIdFrom(param(request, "roomId"));
  requireAction(call, "create");
  await requireDeed(call, from, "room-state", "m.room.tombstone");
  const body = upgradeOf(await readJson(request, SMALL_BODY_LIMIT), usersOf(call));
  await requireSpace(call, "room.upgrade", from);
  const path = pathOf(request);
  return whileMaking(call, async (begin) => {
    const { roomId, answer } = await make(call, {
      path,
      body,
      action: "room.upgrade",
      field: "replacement_room",
      from,
    });
    if (roomId === null) return sendWhole(reply, answer);
    try {
      await learnRoom(parts, roomId);
      await parts.recorder.observe(() => stateEvent(parts.upstream, from, "m.room.tombstone", ""));
    } catch (error) {
      // Emissary failed to write. The room is replaced, and the homeserver's transactions repeat this until taken.
      if (!(error instanceof EmissaryError) || error.code !== "internal") throw error;
    }
    await untilFollowed(call, roomId);
    await parts.leases.reachBack(roomId, holderOf(tenant), begin);
    return sendWhole(reply, answer);
  });
};

/**
 * While a room is made, the keeper does not leave it as unused, and the tenant's feed does not pass its first events.
 * @param deed called with the journal's number before the room's first event
 */
async function whileMaking<T>({ parts, tenant }: Call, deed: (from: number) => Promise<T>): Promise<T> {
  const making = await parts.feed.making(tenant.id);
  try {
    return await parts.keeper.whileMaking(() => deed(making.from));
  } finally {
    making.done();
  }
}

/** Checks the tenant's limit before the room is made, which would have to be left again. Audits a refusal. */
async function requireSpace({ parts, tenant }: Call, action: Making["action"], roomId: RoomId | null): Promise<void> {
  try {
    await parts.desk.requireSpace(holderOf(tenant));
  } catch (error) {
    if (error instanceof EmissaryError && error.reason !== null) {
      await parts.audit.note({ actor: `tenant:${tenant.id}`, action, outcome: error.reason, roomId, detail: {} });
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
}

/**
 * Asks the homeserver for the room and audits the outcome. The room is null if none was made.
 * @param refusal a ready answer, if the homeserver need not be asked
 */
async function make(
  { parts, tenant }: Call,
  { path, body, action, field, from }: Making,
  refusal: WholeAnswer | null = null,
): Promise<{ readonly answer: WholeAnswer; readonly roomId: RoomId | null }> {
  const answer = refusal ?? (await parts.upstream.answer("POST", path, Buffer.from(written(body))));
  const named = stringAt(parsedObject(answer.body), field);
  const roomId = answer.status === 200 && named !== null && isRoomId(named) ? named : null;
  await parts.audit.noteDone({
    actor: `tenant:${tenant.id}`,
    action,
    outcome: roomId !== null ? "done" : failureOf(answer),
    roomId: from ?? roomId,
    detail: from === undefined ? {} : { replacement_room: roomId },
  });
  return { answer, roomId };
}

/** Waits until the tenant's lease is in the new room. The room exists anyway, so the wait is limited. */
async function untilFollowed({ parts, tenant, reply }: Call, roomId: RoomId): Promise<void> {
  const { desk, leases, clock } = parts;
  await withLimit(clock, JOIN_WAIT_MS, goneOf(reply), async (limit) => {
    const over = AbortSignal.any([limit, goneOf(reply)]);
    while (!over.aborted) {
      const changed = desk.changed.next(over);
      if ((await leases.find(roomId, holderOf(tenant))) !== null) return;
      await changed;
    }
  });
}

/** Tells the tenant's own users, and the users of other tenants, whom the homeserver does not know either. */
function usersOf(call: Call): Pick<Creation, "isPersona" | "isHidden"> {
  const { parts, tenant } = call;
  return { isPersona: personasOf(call), isHidden: (userId) => parts.tenants.isOthers(tenant, userId) };
}

/** Returns the default room version; 1 if the homeserver does not say (spec, "m.room_versions capability"). */
async function defaultVersion({ upstream }: ActParts): Promise<string> {
  const { status, body } = await upstream.answer("GET", "/_matrix/client/v3/capabilities", null);
  if (status !== 200) throw undetermined("the version of the new room, which room_version can name");
  return stringAt(objectAt(objectAt(parsedObject(body), "capabilities"), "m.room_versions"), "default") ?? "1";
}

/** Makes rooms. In a room made for it, a tenant may do what the room's creator may (policy/permit.ts). */
export const roomEndpoints: readonly Endpoint[] = [
  passed(
    "POST /createRoom",
    "as the pseudouser, marked as the tenant's; takes the tenant's lease; its own users are taken out of the invites",
    createRoom,
  ),
  passed(
    "POST /rooms/:roomId/upgrade",
    "with the create and room-state actions; the leases of all tenants follow to the new room, as policy allows them there",
    upgrade,
  ),
];
