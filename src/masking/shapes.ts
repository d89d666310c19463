import { maskRoomSummary, maskSlidingRoom, maskStripped, maskSyncSummary, type Rule } from "./rules.ts";

/**
 * Where in an answer there is something to mask. Said once, and read by two: `answer.ts` for parsed JSON, and `bytes.ts` for
 * bytes, which parses only what it has to. A value of another form than its shape is left alone.
 */
export type Shape =
  /** An object with these keys. */
  | { readonly kind: "object"; readonly at: ReadonlyMap<string, Shape> }
  /** An object that has room IDs as keys. */
  | { readonly kind: "rooms"; readonly room: Shape }
  | { readonly kind: "list"; readonly of: Shape }
  /** A list of events: pseudousers' memberships are left out. */
  | { readonly kind: "events" }
  /** An object that has user IDs as keys: pseudousers are left out. */
  | { readonly kind: "users" }
  /** A small value that is masked as a whole. */
  | { readonly kind: "value"; readonly rule: Rule };

const EVENTS: Shape = { kind: "events" };
const ROOM_SUMMARY: Shape = { kind: "value", rule: maskRoomSummary };

const inEvents = object({ events: EVENTS });
const stripped = object({ events: { kind: "value", rule: maskStripped } });

const syncedRoom = object({
  summary: { kind: "value", rule: maskSyncSummary },
  state: inEvents,
  timeline: inEvents,
  // MSC4222
  state_after: inEvents,
  "org.matrix.msc4222.state_after": inEvents,
});

const SHAPES = {
  /** `GET /rooms/{roomId}/members` */
  members: object({ chunk: EVENTS }),
  /** `GET /rooms/{roomId}/joined_members` */
  joined_members: object({ joined: { kind: "users" } }),
  /** `GET /sync`, MSC2753's peeks included */
  sync: object({
    rooms: object({
      join: { kind: "rooms", room: syncedRoom },
      leave: { kind: "rooms", room: syncedRoom },
      peek: { kind: "rooms", room: syncedRoom },
      invite: { kind: "rooms", room: object({ invite_state: stripped }) },
      knock: { kind: "rooms", room: object({ knock_state: stripped }) },
    }),
  }),
  /** `POST /unstable/org.matrix.simplified_msc3575/sync` (MSC4186) */
  sliding_sync: object({ rooms: { kind: "rooms", room: { kind: "value", rule: maskSlidingRoom } } }),
  /** `GET /rooms/{roomId}/initialSync` */
  initial_sync: object({ state: EVENTS, messages: object({ chunk: EVENTS }) }),
  /** `GET /events`, `/rooms/{roomId}/messages`, `/rooms/{roomId}/context/{eventId}` */
  messages: object({ chunk: EVENTS, state: EVENTS, events_before: EVENTS, events_after: EVENTS }),
  /** `GET /room_summary/{roomIdOrAlias}` */
  room_summary: ROOM_SUMMARY,
  /** `GET /rooms/{roomId}/hierarchy` */
  hierarchy: object({ rooms: { kind: "list", of: ROOM_SUMMARY } }),
  /** `GET` and `POST /publicRooms` */
  public_rooms: object({ chunk: { kind: "list", of: ROOM_SUMMARY } }),
} satisfies Record<string, Shape>;

/** An answer of the Client-Server API that can be masked. */
export type AnswerKind = keyof typeof SHAPES;

export const ANSWER_KINDS = Object.keys(SHAPES) as readonly AnswerKind[];

export function shapeOf(kind: AnswerKind): Shape {
  return SHAPES[kind];
}

function object(shapes: Readonly<Record<string, Shape>>): Shape {
  return { kind: "object", at: new Map(Object.entries(shapes)) };
}
