import { EmissaryError } from "../../../model/errors.ts";
import { isRoomId, isUserId, type RoomId } from "../../../model/ids.ts";
import { parsedObject, stringAt, type JsonObject } from "../../../model/json.ts";
import { roomIdFrom } from "../../../attendance/leases/target.ts";
import { readJson } from "../../../http/body.ts";
import { param, queryAll } from "../../../http/server.ts";
import type { Rewriting } from "../../../http/upstream.ts";
import { holderOf, requireRoom } from "../access.ts";
import { passed, type ActHandler, type Call, type Endpoint } from "../act.ts";
import { echoedContent, echoedEntry, echoedEvents, MAX_ECHO_BYTES } from "../events/echo.ts";
import { noMembership } from "../outgoing.ts";
import { NONE, pathOf, readOf, SMALL_BODY_LIMIT } from "../pass.ts";
import { positionOf } from "../../sync/token.ts";
import { joinRoom, leaveRoom } from "./attendance.ts";
import { changeMembership } from "./membership.ts";
import { personaMember, personaMemberId } from "./persona-member.ts";
import { profileIn } from "./personas.ts";

const MEMBER_PARAMETERS: ReadonlySet<string> = new Set(["at", "membership", "not_membership"]);
const STATE_PARAMETERS: ReadonlySet<string> = new Set(["format"]);

/**
 * Streams the homeserver's list with the tenant's users in place of the pseudouser: bridges would take it for a person
 * and make a puppet of it. A room may have a hundred thousand members.
 */
function listed(
  { parts, request, reply }: Call,
  allowed: ReadonlySet<string>,
  rewriting: Pick<Rewriting, "within" | "change" | "more">,
): Promise<unknown> {
  const path = withoutSyncToken(pathOf(request, allowed));
  return parts.upstream.rewritten(readOf(request, path), reply, { ...rewriting, unreadable });
}

/** Drops our own sync token. The list of current members is at least as new; the next sync has later changes. */
function withoutSyncToken(path: string): string {
  const [target = "", query = ""] = path.split("?");
  const parameters = new URLSearchParams(query);
  if (positionOf(parameters.get("at") ?? "") === null) return path;
  parameters.delete("at");
  return parameters.size === 0 ? target : `${target}?${parameters.toString()}`;
}

/** An empty list would tell a bridge that everybody has left. */
function unreadable(): EmissaryError {
  return new EmissaryError("homeserver-error", "The homeserver's list of members cannot be read; try again.");
}

const joinedMembers: ActHandler = async (call) => {
  const { roomId } = await requireRoom(call, "read");
  const { parts, tenant } = call;
  const personas = await parts.personas.inRoom(tenant.id, roomId);
  const hidden = new Set<unknown>([parts.own, ...personas.map(({ userId }) => userId)]);
  return listed(call, NONE, {
    within: "joined",
    change: (entry) => (hidden.has(keyOf(entry)) ? null : entry),
    more: () =>
      personas.map(({ userId, displayname, avatarUrl }) => {
        const shown = {
          ...(displayname !== null && { display_name: displayname }),
          ...(avatarUrl !== null && { avatar_url: avatarUrl }),
        };
        return Buffer.from(`${JSON.stringify(userId)}:${JSON.stringify(shown)}`);
      }),
  });
};

const members: ActHandler = async (call) => {
  const { roomId } = await requireRoom(call, "read");
  const { parts, tenant, request } = call;
  const wanted = queryAll(request, "membership");
  const isAsked =
    (wanted.length === 0 || wanted.includes("join")) && !queryAll(request, "not_membership").includes("join");
  const viewer = parts.tenants.viewerOf(tenant);
  const shown = await membersShown(call, roomId);
  return listed(call, MEMBER_PARAMETERS, {
    within: "chunk",
    change: (entry) => (shown.replaces(entry) ? null : echoedEntry(entry, viewer)),
    more: () => (isAsked ? shown.events : []),
  });
};

/** Returns the members that replace the homeserver's: the tenant's users in the room, and no pseudouser. */
export async function membersShown(
  call: Call,
  roomId: RoomId,
): Promise<{ readonly events: readonly Buffer[]; readonly replaces: (entry: Buffer) => boolean }> {
  const { parts, tenant } = call;
  const personas = await parts.personas.inRoom(tenant.id, roomId);
  const since = await takenAt(call, roomId);
  const hidden = new Set<unknown>([parts.own, ...personas.map(({ userId }) => userId)]);
  const names = [...hidden].map((userId) => JSON.stringify(userId));
  return {
    events: personas.map((persona) => Buffer.from(JSON.stringify(personaMember(roomId, persona, since)))),
    replaces: (entry) => {
      if (!names.some((name) => entry.includes(name))) return false;
      const { type, state_key: key } = parsedObject(entry);
      return type === "m.room.member" && hidden.has(key);
    },
  };
}

/** Corrects the member count of a room that the tenant is in to what the tenant sees. */
export async function withCount<T extends JsonObject>({ parts, tenant }: Call, summary: T): Promise<T> {
  const { num_joined_members: counted, room_id: roomId } = summary;
  if (typeof counted !== "number" || typeof roomId !== "string" || !isRoomId(roomId)) return summary;
  const personas = await parts.personas.inRoom(tenant.id, roomId);
  return { ...summary, num_joined_members: Math.max(0, counted - 1) + personas.length };
}

/** Returns the key of an object's entry. */
function keyOf(entry: Buffer): unknown {
  const key = /^\s*("(?:[^"\\]|\\.)*")/.exec(entry.toString("utf8"))?.[1];
  return key === undefined ? null : (JSON.parse(key) as unknown);
}

async function takenAt({ parts, tenant }: Call, roomId: RoomId): Promise<number> {
  return (await parts.leases.find(roomId, holderOf(tenant)))?.takenAt ?? 0;
}

const memberState: ActHandler = async (call) => {
  const { roomId } = await requireRoom(call, "read");
  const { parts, tenant, request, reply } = call;
  const isEvent = queryAll(request, "format").includes("event");
  const userId = param(request, "userId");
  if (userId === parts.own) throw new EmissaryError("not-found", `${userId} is not a member that a tenant sees.`);
  if (!isUserId(userId) || !parts.tenants.isPersona(tenant, userId)) {
    const viewer = parts.tenants.viewerOf(tenant);
    return parts.upstream.revised(readOf(request, pathOf(request, STATE_PARAMETERS)), reply, {
      limit: MAX_ECHO_BYTES,
      revise: (body) => (isEvent ? echoedEvents(body, viewer) : echoedContent("m.room.member", body, viewer)),
    });
  }
  if (!(await parts.personas.isIn(tenant.id, roomId, userId))) {
    throw new EmissaryError("not-found", `${userId} is not in ${roomId}.`);
  }
  const persona = { userId, ...(await parts.personas.profile(tenant.id, userId)) };
  const event = personaMember(roomId, persona, await takenAt(call, roomId));
  return isEvent ? event : event.content;
};

/** Some libraries join, leave and set a profile by sending the membership. A persona has one profile. */
const setMemberState: ActHandler = async (call) => {
  const { parts, tenant, request } = call;
  const roomId = roomIdFrom(param(request, "roomId"));
  const user = param(request, "userId");
  if (!isUserId(user)) throw noMembership();
  const content = await readJson(request, SMALL_BODY_LIMIT);
  if (!parts.tenants.isPersona(tenant, user)) {
    pathOf(request);
    return changeMembership(call, roomId, user, null, content);
  }
  const profile = profileIn(content);
  const membership = stringAt(content, "membership");
  switch (membership) {
    case "join":
      await joinRoom({ ...call, user }, roomId);
      if (Object.keys(profile).length > 0) await parts.personas.setProfile(tenant.id, user, profile);
      break;
    case "leave":
    case "ban":
      await leaveRoom({ ...call, user }, roomId);
      break;
    case "invite":
      break;
    default:
      throw new EmissaryError(
        "bad-request",
        `${JSON.stringify(membership)} is not a membership that a tenant's user can have.`,
      );
  }
  return { event_id: personaMemberId(roomId, user) };
};

/** The members of a room, as a tenant sees them. */
export const memberEndpoints: readonly Endpoint[] = [
  passed(
    "GET /rooms/:roomId/joined_members",
    "joined members, with the tenant's users that are in, and without the pseudouser",
    joinedMembers,
  ),
  passed("GET /rooms/:roomId/members", "membership events, likewise", members),
  passed(
    "GET /rooms/:roomId/state/m.room.member/:userId",
    "a membership; of the tenant's users, by their being in",
    memberState,
  ),
  passed(
    "PUT /rooms/:roomId/state/m.room.member/:userId",
    "of the tenant's users: joins, leaves, sets the profile; of others: an invite, leave (kick, unban) or ban with that action, its content kept",
    setMemberState,
  ),
];
