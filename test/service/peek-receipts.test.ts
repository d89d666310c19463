/** What a user who looks into a room says of having read it: to the room, nothing. */
import { expect, test } from "vitest";
import type { FakeRoom, RoomOptions } from "../support/fake-homeserver-rooms.ts";
import { AS_TOKEN, SERVER } from "../support/fake-homeserver.ts";
import { PSEUDOUSER, startService, type Answer, type Service } from "../support/service-app.ts";

const ALICE = `@alice:${SERVER}`;
const GHOST = `@telegram_ghost:${SERVER}`;

const PREFIXES = ["/_matrix/client/v3", "/_matrix/client/r0", "/_matrix/client/unstable"];
const RECEIPTS: readonly (readonly [path: string, body: object])[] = [
  ["receipt/m.read/$event", {}],
  ["receipt/m.read/$event", { thread_id: "main" }],
  ["receipt/m.read.private/$event", {}],
  ["receipt/m.fully_read/$event", {}],
  ["read_markers", { "m.fully_read": "$event", "m.read": "$event" }],
];
const EACH = PREFIXES.flatMap((prefix) => RECEIPTS.map(([path, body]) => [prefix, path, body] as const));
const OURS = /\/(?:receipt|read_markers)(?:\/|$)/;

async function setUp(options: RoomOptions = {}): Promise<{ service: Service; room: FakeRoom }> {
  const service = await startService();
  const room = service.homeserver.makeRoom({
    historyVisibility: "world_readable",
    members: [PSEUDOUSER],
    ...options,
  });
  return { service, room };
}

function tell(service: Service, room: FakeRoom, what = "receipt/m.read/$event", more: object = {}): Promise<Answer> {
  const {
    prefix = PREFIXES[0],
    body = {},
    token = "token-of-alice",
    query = "",
  } = more as {
    prefix?: string;
    body?: object;
    token?: string | null;
    query?: string;
  };
  return service.gateway("POST", `${prefix}/rooms/${encodeURIComponent(room.id)}/${what}${query}`, { token, body });
}

test.each(EACH)(
  "below %s, %s %j of who is not in the room goes nowhere, and is answered {}",
  async (prefix, path, body) => {
    const { service, room } = await setUp();
    const answer = await tell(service, room, path, { prefix, body });
    expect([answer.status, answer.raw.toString()]).toEqual([200, "{}"]);
    expect([service.homeserver.seen("POST", OURS), [...room.receipts]]).toEqual([[], []]);
  },
);

test.each(EACH)("below %s, %s %j of a member passes as it came", async (prefix, path, body) => {
  const { service, room } = await setUp({ members: [PSEUDOUSER, ALICE] });
  const answer = await tell(service, room, path, { prefix, body });
  const [asked] = service.homeserver.seen("POST", OURS);
  expect([answer.status, asked?.url, asked?.body, asked?.headers.authorization]).toEqual([
    200,
    `${prefix}/rooms/${encodeURIComponent(room.id)}/${path}`,
    body,
    "Bearer token-of-alice",
  ]);
  expect(room.receipts.get(ALICE)).toBe("$event");
});

test.each(["leave", "invite", "ban", "knock"])(
  "a user whose membership is %s is not in the room",
  async (membership) => {
    const { service, room } = await setUp({ members: [PSEUDOUSER, ALICE] });
    await tell(service, room);
    service.homeserver.setMembership(room, ALICE, membership);
    room.receipts.clear();
    expect((await tell(service, room)).body).toEqual({});
    expect([...room.receipts]).toEqual([]);
  },
);

test("a room that the pseudouser is not in is no other: somebody else of this server may be", async () => {
  const { service, room } = await setUp({ members: [`@carol:${SERVER}`] });
  expect((await tell(service, room)).body).toEqual({});
  service.homeserver.setMembership(room, ALICE, "join");
  await tell(service, room);
  expect([...room.receipts.keys()]).toEqual([ALICE]);
});

test("of an appservice's user it is that user who is in the room, or is not", async () => {
  const { service, room } = await setUp({ members: [PSEUDOUSER, GHOST] });
  service.homeserver.registered.add(GHOST).add(`@telegram_other:${SERVER}`);
  const asked = (user: string): object => ({ token: AS_TOKEN, query: `?user_id=${encodeURIComponent(user)}` });
  await tell(service, room, undefined, asked(`@telegram_other:${SERVER}`));
  expect([...room.receipts]).toEqual([]);
  await tell(service, room, undefined, asked(GHOST));
  expect([...room.receipts.keys()]).toEqual([GHOST]);
  // One's own token stands for oneself, whoever else it names.
  room.receipts.clear();
  await tell(service, room, undefined, { query: `?user_id=${encodeURIComponent(GHOST)}` });
  expect([...room.receipts]).toEqual([]);
  const both = await tell(service, room, undefined, { query: `?user_id=${GHOST}&user_id=${ALICE}` });
  expect([both.status, [...room.receipts]]).toEqual([400, []]);
});

test("where it is not to be known who is in the room, it is not passed, and may be told again", async () => {
  const { service, room } = await setUp({ members: [PSEUDOUSER, ALICE] });
  service.homeserver.fault("GET", /m\.room\.member/, { status: 500, body: {} });
  const failed = await tell(service, room);
  expect([failed.status, [...room.receipts]]).toEqual([502, []]);
  service.homeserver.fault("GET", /m\.room\.member/, { status: 429, body: { errcode: "M_LIMIT_EXCEEDED" } });
  expect((await tell(service, room)).status).toBe(429);
  expect((await tell(service, room)).status).toBe(200);
  expect([...room.receipts.keys()]).toEqual([ALICE]);
});

test("whoever has no token, or nobody's, is refused by the homeserver", async () => {
  const { service, room } = await setUp();
  expect((await tell(service, room, undefined, { token: null })).body["errcode"]).toBe("M_MISSING_TOKEN");
  expect((await tell(service, room, undefined, { token: "nobodys" })).body["errcode"]).toBe("M_UNKNOWN_TOKEN");
});
