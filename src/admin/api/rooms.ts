import { z } from "zod";
import { isRoomId, isServerName, isUserId } from "../../model/ids.ts";
import { MEMBERSHIPS } from "../../model/membership.ts";
import { afterOf, at, count, limitOf, maybe, next, orNull, text, type Endpoint } from "./endpoint.ts";

const MAX_VIA = 20;
const membership = z.enum(MEMBERSHIPS);

export const routes = z
  .array(text.refine(isServerName, { error: ({ input }) => `\`via\`: ${shown(input)} is no server name.` }))
  .max(MAX_VIA, `At most ${MAX_VIA} servers go into \`via\`.`)
  .describe("servers to ask through, for a room that ours does not know");

const room = z.object({
  room_id: text,
  name: maybe,
  canonical_alias: maybe,
  phase: z.enum(["absent", "joining", "present", "leaving", "refused"]),
  since: at.describe("when the phase began"),
  own_membership: membership.nullable().describe("the pseudouser's"),
  joined_members: count,
  join_rule: maybe,
  history_visibility: maybe,
  encryption: maybe.describe("the algorithm"),
  version: maybe,
  load: z
    .enum(["none", "wanted", "loaded", "stale"])
    .describe(
      "how much of the room is known: what events brought, that and the rest on its way, all, or what was left behind",
    ),
  gap: z
    .enum(["none", "filling", "open"])
    .describe(
      "whether what was said while the pseudouser was not there is missing: it is being fetched, or no server gave it",
    ),
  code: maybe.describe("why it is refused, or why the newest try failed"),
  reason: maybe.describe("the same, as a sentence"),
  leases: z.array(
    z.object({ holder: text, taken_at: at, expires_at: at.nullable().describe("null: until it is given back") }),
  ),
});

const roomInFull = room.extend({
  room_type: maybe,
  replacement: maybe.describe("the room that replaces this one"),
  predecessor: maybe,
  via: z.array(text).describe("servers to reach it through"),
  members: z.record(text, count).describe("how many, by membership"),
  cool_down: z
    .object({ code: text, reason: text, until: at, strikes: count.describe("how often in a row") })
    .nullable()
    .describe("why, and until when, the pseudouser keeps away"),
  invited_by: maybe.describe("who invited the pseudouser, while it is invited"),
});

const member = z.object({
  user_id: text,
  membership,
  displayname: maybe,
  event_id: maybe,
  pseudouser: z.boolean().describe("whether it is a pseudouser, of any server"),
});

export const ROOM_SCHEMAS = { Room: room, RoomInFull: roomInFull, Member: member };

export const ROOM_ENDPOINTS = {
  rooms: {
    method: "GET",
    path: "/rooms",
    note: "lists the rooms that are known, in the order of their IDs",
    query: z.object({ after: afterOf(isRoomId, "a room ID"), limit: limitOf(100) }),
    answer: z.object({ rooms: z.array(room), next }),
  },
  room: {
    method: "GET",
    path: "/rooms/:room",
    note: "tells all of one room, by ID or alias",
    answer: roomInFull,
  },
  roomJoin: {
    method: "POST",
    path: "/rooms/:room/join",
    note: "takes the operator's lease, and waits up to 60 seconds for the pseudouser to be in the room",
    body: {
      schema: z.strictObject({ via: z.array(text.refine(isServerName)).max(MAX_VIA).default([]) }),
      fault: () => "`via` must be a list of server names.",
    },
    answer: z.object({ room_id: text, phase: z.literal("present") }),
    patience: 90_000,
  },
  roomLeave: {
    method: "POST",
    path: "/rooms/:room/leave",
    note: "gives the operator's lease back",
    answer: z.object({
      room_id: text,
      released: z.boolean().describe("whether there was one"),
      holders: z.array(text).describe("who keeps the pseudouser there"),
    }),
  },
  members: {
    method: "GET",
    path: "/rooms/:room/members",
    note: "lists the members, in the order of their IDs",
    query: z.object({
      membership: orNull(
        z.enum(MEMBERSHIPS, { error: ({ input }) => `${JSON.stringify(input)} is no membership.` }),
      ).describe("those with this one only"),
      after: afterOf(isUserId, "a user ID"),
      limit: limitOf(500),
    }),
    answer: z.object({ members: z.array(member), next }),
  },
  upgradeCheck: {
    method: "GET",
    path: "/rooms/:room/upgrade-check",
    note: "says what would change for a room that moves to MSC1777's room version",
    query: z.object({ via: routes }),
    answer: z.object({
      room_id: text,
      standing: z
        .enum(["moved", "counts", "closed"])
        .describe("it has that version; it counts as peekable in its own; it does not"),
      notes: z.array(z.object({ topic: text, now: text, then: text })),
      today: z.array(text).describe("the steps to the same in today's versions"),
    }),
    patience: 60_000,
  },
} as const satisfies Record<string, Endpoint>;

function shown(input: unknown): string {
  return JSON.stringify(String(input).slice(0, 80));
}
