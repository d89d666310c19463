import path from "node:path";
import { describe, expect, test } from "vitest";
import { positionOf, tokenOf } from "../../src/peek/msc2753/token.ts";
import { isJsonObject, stringAt, type JsonObject, type JsonValue } from "../../src/model/json.ts";
import { SERVER, type FakeHomeserver } from "../support/fake-homeserver.ts";
import type { FakeRoom, RoomOptions } from "../support/fake-homeserver-rooms.ts";
import {
  eventually,
  fakeHomeserver,
  PSEUDOUSER,
  startService,
  temporaryFolder,
  type Answer,
  type Service,
  type Settings,
} from "../support/service-app.ts";

const ALICE = `@alice:${SERVER}`;
const BOB = "@bob:elsewhere.test";
const UNSTABLE = "/_matrix/client/unstable/org.matrix.msc2753";
const NEVER = { idle: 100 * 60 * 60 * 1000 };

function objectAt(value: JsonValue | undefined, ...keys: string[]): JsonObject {
  let here: JsonValue | undefined = value;
  for (const key of keys) here = isJsonObject(here) ? here[key] : undefined;
  return isJsonObject(here) ? here : {};
}

function textsOf(room: JsonObject): unknown[] {
  const { events } = objectAt(room, "timeline");
  return (Array.isArray(events) ? events : [])
    .filter((event) => isJsonObject(event))
    .filter((event) => event["type"] === "m.room.message")
    .map((event) => objectAt(event, "content")["body"]);
}

function eventsOf(room: JsonObject): JsonObject[] {
  return ["state", "timeline"].flatMap((part) => {
    const { events } = objectAt(room, part);
    return (Array.isArray(events) ? events : []).filter((event) => isJsonObject(event));
  });
}

/** A client of a local user that syncs, and goes on where it is. */
class Client {
  readonly token: string;
  since: string | null = null;
  service: Service;

  constructor(service: Service, token: string) {
    this.service = service;
    this.token = token;
  }

  peek(room: string, body: unknown = {}): Promise<Answer> {
    return this.service.gateway("POST", `${UNSTABLE}/peek/${encodeURIComponent(room)}`, { token: this.token, body });
  }

  unpeek(room: string): Promise<Answer> {
    const target = `${UNSTABLE}/rooms/${encodeURIComponent(room)}/unpeek`;
    return this.service.gateway("POST", target, { token: this.token, body: {} });
  }

  async sync(query: Readonly<Record<string, string>> = {}): Promise<JsonObject> {
    const since = this.since === null ? {} : { since: this.since };
    const params = new URLSearchParams({ timeout: "0", ...since, ...query });
    const answer = await this.service.gateway("GET", `/_matrix/client/v3/sync?${params.toString()}`, {
      token: this.token,
    });
    expect([answer.status, answer.body["errcode"]]).toEqual([200, undefined]);
    this.since = stringAt(answer.body, "next_batch");
    return answer.body;
  }
}

function makeRoom(homeserver: FakeHomeserver, options: RoomOptions = {}): FakeRoom {
  return homeserver.makeRoom({ historyVisibility: "world_readable", creator: BOB, name: "Square", ...options });
}

async function setUp(peek: Partial<Settings["peek"]> = NEVER) {
  const homeserver = await fakeHomeserver();
  const sqlite = path.join(temporaryFolder(), "emissary.db");
  // Peeks that no test speaks of end late: time is hasty here.
  const service = await startService({ homeserver, sqlite, settings: { peek: { ...NEVER, ...peek } } });
  homeserver.tokens.set("second-of-alice", ALICE);
  homeserver.devices.set("second-of-alice", "SECOND");
  return { homeserver, service, sqlite, client: new Client(service, "token-of-alice") };
}

const peeked = (answer: JsonObject): JsonObject => objectAt(answer, "rooms", "peek");
const left = (answer: JsonObject): string[] => Object.keys(objectAt(answer, "rooms", "leave"));

describe("a peek", () => {
  test("by ID or alias tells the room and when it ends; again, it is renewed", async () => {
    const { homeserver, client } = await setUp();
    const room = makeRoom(homeserver, { alias: "#square:elsewhere.test" });
    const first = await client.peek("#square:elsewhere.test");
    expect([first.status, first.body["room_id"]]).toEqual([200, room.id]);
    const second = await client.peek(room.id);
    expect(Number(second.body["peek_expiry_ts"])).toBeGreaterThan(Number(first.body["peek_expiry_ts"]));
    expect(room.membership(PSEUDOUSER)).toBe("join");
    expect(client.service.query("SELECT 1 FROM leases WHERE kind = 'peek' AND ended_at IS NULL")).toHaveLength(1);
  });

  test.each([
    ["is in the room already", { members: [ALICE] }, 400, "M_BAD_STATE"],
    ["peeks into a room that is not world-readable", { historyVisibility: "shared" }, 403, "M_FORBIDDEN"],
  ])("of a user who %s is refused", async (_what, options, status, errcode) => {
    const { homeserver, client } = await setUp();
    const room = makeRoom(homeserver, options);
    const answer = await client.peek(room.id);
    expect([answer.status, answer.body["errcode"]]).toEqual([status, errcode]);
    expect(client.service.query("SELECT 1 FROM leases WHERE ended_at IS NULL")).toEqual([]);
  });

  test.each([
    ["an unknown alias", "#nowhere:elsewhere.test", "token-of-alice", 404, "M_NOT_FOUND"],
    ["what is no room", "square", "token-of-alice", 400, "M_INVALID_PARAM"],
    ["a wrong token", "!r:elsewhere.test", "wrong", 401, "M_UNKNOWN_TOKEN"],
  ])("of %s is refused", async (_what, room, token, status, errcode) => {
    const { service } = await setUp();
    const answer = await new Client(service, token).peek(room);
    expect([answer.status, answer.body["errcode"]]).toEqual([status, errcode]);
  });

  test("counts for the user, whichever device it is of", async () => {
    const { homeserver, service, client } = await setUp({ roomsPerUser: 1 });
    await client.peek(makeRoom(homeserver).id);
    const answer = await new Client(service, "second-of-alice").peek(makeRoom(homeserver).id);
    expect([answer.status, answer.body["errcode"]]).toEqual([429, "M_LIMIT_EXCEEDED"]);
  });

  test("that nobody has cannot end", async () => {
    const { homeserver, client } = await setUp();
    const answer = await client.unpeek(makeRoom(homeserver).id);
    expect([answer.status, answer.body["errcode"]]).toEqual([400, "M_BAD_STATE"]);
  });

  test("leaves neither the user's name nor its token in the database", async () => {
    const { homeserver, client } = await setUp();
    await client.peek(makeRoom(homeserver).id);
    await client.sync();
    const rows = client.service.query("SELECT l.holder, t.* FROM leases l, peek_tokens t");
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).not.toMatch(/alice/i);
  });
});

describe("a sync", () => {
  test("of a user with no peek passes through as it is, once it is known who it is", async () => {
    const { homeserver, service, client } = await setUp();
    makeRoom(homeserver, { members: [ALICE] });
    const before = homeserver.requests.length;
    const answer = await service.gateway("GET", "/_matrix/client/v3/sync?timeout=0", { token: client.token });
    const asked = homeserver.requests.slice(before).map(({ url }) => url);
    expect(asked).toEqual(["/_matrix/client/v3/account/whoami", "/_matrix/client/v3/sync?timeout=0"]);
    await service.gateway("GET", "/_matrix/client/v3/sync?timeout=0", { token: client.token });
    const asUser = homeserver.seen("GET", /whoami$/).filter(({ query }) => !query.has("user_id"));
    expect(asUser).toHaveLength(1);
    expect(stringAt(answer.body, "next_batch")).toMatch(/^s\d+_0$/);
  });

  test("tells a new peek with state and the newest events, and then only what comes", async () => {
    const { homeserver, client } = await setUp();
    const room = makeRoom(homeserver);
    for (let n = 0; n < 30; n += 1) homeserver.say(room, BOB, `old ${n}`);
    await client.sync();
    await client.peek(room.id);

    const first = objectAt(peeked(await client.sync({ filter: '{"room":{"timeline":{"limit":4}}}' })), room.id);
    // The pseudouser's join is the newest event, and is masked.
    expect(textsOf(first)).toEqual(["old 27", "old 28", "old 29"]);
    expect(objectAt(first, "timeline")["limited"]).toBe(true);
    expect(eventsOf(first).map(({ type }) => type)).toContain("m.room.name");
    expect(JSON.stringify(first)).not.toContain(PSEUDOUSER);

    expect(peeked(await client.sync())).toEqual({});
    homeserver.say(room, BOB, "new");
    await client.service.untilDelivered();
    const next = objectAt(peeked(await client.sync()), room.id);
    expect([textsOf(next), objectAt(next, "timeline")["limited"]]).toEqual([["new"], false]);
    expect(peeked(await client.sync())).toEqual({});
  });

  test("tells a large room whole, masked and filtered, with the homeserver's own part around it", async () => {
    const { homeserver, client } = await setUp();
    const crowd = Array.from({ length: 2_500 }, (_, n) => `@member${n}:elsewhere.test`);
    const [room, small] = [makeRoom(homeserver, { members: crowd }), makeRoom(homeserver)];
    const own = homeserver.makeRoom({ members: [ALICE] });
    for (let n = 0; n < 30; n += 1) homeserver.say(room, BOB, `old ${n}`);
    await client.peek(room.id);
    await client.peek(small.id);
    const first = await client.sync({
      filter: '{"room":{"timeline":{"limit":4},"state":{"not_types":["m.room.name"]}}}',
    });
    expect(Object.keys(objectAt(first, "rooms", "join"))).toEqual([own.id]);
    const told = objectAt(peeked(first), room.id);
    const ofType = (type: string): unknown[] => eventsOf(told).filter((event) => event["type"] === type);
    expect(ofType("m.room.member").map((event) => (event as JsonObject)["state_key"])).toEqual([BOB, ...crowd]);
    expect([textsOf(told).length, ofType("m.room.name"), ofType("m.room.create").length]).toEqual([3, [], 1]);
    expect(JSON.stringify(first)).not.toContain(PSEUDOUSER);
    // Beside a large room a small one may have to wait for the next answer, and no longer.
    const next = await client.sync();
    expect([...Object.keys(peeked(first)), ...Object.keys(peeked(next))].sort()).toEqual([room.id, small.id].sort());
    homeserver.say(room, BOB, "new");
    await client.service.untilDelivered();
    expect(textsOf(objectAt(peeked(await client.sync()), room.id))).toEqual(["new"]);
  });

  test("is told a large room anew where the homeserver broke off in the middle of it", async () => {
    const { homeserver, service, client } = await setUp();
    const crowd = Array.from({ length: 2_500 }, (_, n) => `@member${n}:elsewhere.test`);
    const room = makeRoom(homeserver, { members: crowd });
    await client.peek(room.id);
    homeserver.fault("GET", /initialSync$/, { cutAfter: 400_000 });
    const target = "/_matrix/client/v3/sync?timeout=0";
    await expect(service.gateway("GET", target, { token: client.token })).rejects.toThrow();
    const told = objectAt(peeked(await client.sync()), room.id);
    expect(eventsOf(told).filter(({ type }) => type === "m.room.member")).toHaveLength(2_501);
  });

  test("where more came than is wanted tells the newest, the state between, and from where to read back", async () => {
    const { homeserver, service, client } = await setUp();
    const room = makeRoom(homeserver);
    await client.peek(room.id);
    await client.sync();
    homeserver.send(room, BOB, "m.room.topic", { topic: "first" }, "");
    homeserver.send(room, BOB, "m.room.topic", { topic: "second" }, "");
    for (let n = 0; n < 10; n += 1) homeserver.say(room, BOB, `n${n}`);
    await service.untilDelivered();

    const told = objectAt(peeked(await client.sync({ filter: '{"room":{"timeline":{"limit":3}}}' })), room.id);
    expect(textsOf(told)).toEqual(["n7", "n8", "n9"]);
    expect(
      eventsOf(told)
        .filter(({ type }) => type === "m.room.topic")
        .map(({ content }) => content),
    ).toEqual([{ topic: "second" }]);
    const timeline = objectAt(told, "timeline");
    expect(timeline["limited"]).toBe(true);
    const target = `/_matrix/client/v3/rooms/${encodeURIComponent(room.id)}/messages?dir=b&limit=2&from=${stringAt(timeline, "prev_batch") ?? ""}`;
    const { body } = await service.gateway("GET", target, { token: client.token });
    expect(textsOf({ timeline: { events: body["chunk"] ?? [] } })).toEqual(["n6", "n5"]);
  });

  test("after very much tells the room anew", async () => {
    const { homeserver, service, client } = await setUp();
    const room = makeRoom(homeserver);
    await client.peek(room.id);
    await client.sync();
    for (let n = 0; n < 700; n += 1) homeserver.say(room, BOB, `n${n}`);
    await service.untilDelivered();
    const told = objectAt(peeked(await client.sync()), room.id);
    expect(textsOf(told).at(-1)).toBe("n699");
    expect(objectAt(told, "timeline")["limited"]).toBe(true);
    expect(eventsOf(told).map(({ type }) => type)).toContain("m.room.create");
    expect(peeked(await client.sync())).toEqual({});
  });

  test("waits, and ends on news of a peeked room, of the homeserver, and on a new peek", async () => {
    const { homeserver, client } = await setUp();
    const room = makeRoom(homeserver);
    const long = { timeout: "20000" };
    await client.sync();
    const untilPeek = client.sync(long);
    await eventually("the sync waiting", () => homeserver.seen("GET", /\/sync$/).length === 2);
    await client.peek(room.id);
    expect(Object.keys(peeked(await untilPeek))).toEqual([room.id]);

    const untilNews = client.sync(long);
    homeserver.say(room, BOB, "news");
    expect(textsOf(objectAt(peeked(await untilNews), room.id))).toEqual(["news"]);

    const untilWord = client.sync(long);
    homeserver.toDevice.set(client.token, [{ nr: 1, event: { type: "m.test" } }]);
    expect(objectAt(await untilWord, "to_device")).toEqual({ events: [{ type: "m.test" }] });
    expect(objectAt(await client.sync(), "to_device")).toEqual({});
  });

  test("of another device of the user tells nothing of the peek", async () => {
    const { homeserver, service, client } = await setUp();
    await client.peek(makeRoom(homeserver).id);
    const other = new Client(service, "second-of-alice");
    expect(peeked(await other.sync())).toEqual({});
    expect(other.since).toMatch(/^s/);
  });

  test("with another token of the device goes on where it was", async () => {
    const { homeserver, service, client } = await setUp();
    const room = makeRoom(homeserver);
    await client.peek(room.id);
    await client.sync();
    homeserver.tokens.set("refreshed", ALICE);
    homeserver.devices.set("refreshed", "ALICE");
    const refreshed = new Client(service, "refreshed");
    refreshed.since = client.since;
    homeserver.say(room, BOB, "news");
    await service.untilDelivered();
    expect(textsOf(objectAt(peeked(await refreshed.sync()), room.id))).toEqual(["news"]);
  });

  test("with a token of ours that is broken is refused", async () => {
    const { client, service } = await setUp();
    const answer = await service.gateway("GET", "/_matrix/client/v3/sync?since=peek1.broken", { token: client.token });
    expect([answer.status, answer.body["errcode"]]).toEqual([400, "M_INVALID_PARAM"]);
  });

  test("goes on after a restart", async () => {
    const { homeserver, service, sqlite, client } = await setUp();
    const room = makeRoom(homeserver);
    await client.peek(room.id);
    await client.sync();
    await service.app.stop();
    homeserver.say(room, BOB, "meanwhile");
    client.service = await startService({ homeserver, sqlite, settings: { peek: NEVER } });
    await client.service.untilDelivered();
    const told = objectAt(peeked(await client.sync()), room.id);
    expect([textsOf(told), objectAt(told, "timeline")["limited"]]).toEqual([["meanwhile"], false]);
    expect(peeked(await client.sync())).toEqual({});
  });

  // As after the restore of a backup that is older than the token: its numbers may have come again since.
  test("with a token of a lost time is told the rooms anew", async () => {
    const { homeserver, client } = await setUp();
    const room = makeRoom(homeserver);
    homeserver.say(room, BOB, "before");
    await client.peek(room.id);
    await client.sync();
    homeserver.say(room, BOB, "meanwhile");
    const position = positionOf(String(client.since));
    client.since = tokenOf({ ...position, opening: "lost" });
    const told = objectAt(peeked(await client.sync()), room.id);
    expect(textsOf(told).slice(-2)).toEqual(["before", "meanwhile"]);
    expect(peeked(await client.sync())).toEqual({});
  });

  test("whose homeserver fails is answered as the homeserver does", async () => {
    const { homeserver, service, client } = await setUp();
    await client.peek(makeRoom(homeserver).id);
    await client.sync();
    homeserver.tokens.delete(client.token);
    const target = `/_matrix/client/v3/sync?since=${String(client.since)}`;
    const answer = await service.gateway("GET", target, { token: client.token });
    expect([answer.status, answer.body["errcode"]]).toEqual([401, "M_UNKNOWN_TOKEN"]);
  });

  test("does not lose news that the homeserver would not show at once", async () => {
    const { homeserver, service, client } = await setUp();
    const room = makeRoom(homeserver);
    await client.peek(room.id);
    await client.sync();
    homeserver.fault("GET", /\/events$/, { status: 500, body: { errcode: "M_UNKNOWN", error: "no" } });
    homeserver.say(room, BOB, "news");
    await service.untilDelivered();
    expect(peeked(await client.sync())).toEqual({});
    expect(textsOf(objectAt(peeked(await client.sync()), room.id))).toEqual(["news"]);
  });
});

describe("a peek ends, and the next sync tells it once,", () => {
  const ends: readonly (readonly [string, (homeserver: FakeHomeserver, room: FakeRoom, client: Client) => unknown])[] =
    [
      ["by unpeek", (_homeserver, room, client) => client.unpeek(room.id)],
      [
        "when the room is no longer world-readable",
        (homeserver, room) =>
          homeserver.send(room, BOB, "m.room.history_visibility", { history_visibility: "shared" }, ""),
      ],
      ["when the pseudouser is kicked", (homeserver, room) => homeserver.setMembership(room, PSEUDOUSER, "leave", BOB)],
      ["when the pseudouser is banned", (homeserver, room) => homeserver.setMembership(room, PSEUDOUSER, "ban", BOB)],
    ];
  test.each(ends)("%s", async (_what, end) => {
    const { homeserver, service, client } = await setUp();
    const [room, other] = [makeRoom(homeserver), makeRoom(homeserver)];
    await client.peek(room.id);
    await client.peek(other.id);
    await client.sync();
    await end(homeserver, room, client);
    await service.untilDelivered();
    const told = await client.sync();
    expect([left(told), peeked(told)[room.id]]).toEqual([[room.id], undefined]);
    expect(left(await client.sync())).toEqual([]);
    homeserver.say(other, BOB, "news");
    await service.untilDelivered();
    expect(Object.keys(peeked(await client.sync()))).toEqual([other.id]);
  });

  test("after the idle time", async () => {
    const { homeserver, client } = await setUp({ idle: 20_000 });
    const room = makeRoom(homeserver);
    await client.peek(room.id);
    await client.sync();
    expect(left(await client.sync({ timeout: "10000" }))).toEqual([room.id]);
    expect(client.since).toMatch(/^s/);
  });

  test("and where the user joins it is the homeserver who tells of the room", async () => {
    const { homeserver, service, client } = await setUp();
    const room = makeRoom(homeserver);
    await client.peek(room.id);
    await client.sync();
    await service.gateway("POST", `/_matrix/client/v3/join/${encodeURIComponent(room.id)}`, {
      token: client.token,
      body: {},
    });
    await service.untilDelivered();
    const told = await client.sync();
    expect([Object.keys(objectAt(told, "rooms", "join")), left(told), peeked(told)]).toEqual([[room.id], [], {}]);
    const next = await client.sync();
    expect([left(next), peeked(next)]).toEqual([[], {}]);
    expect(service.query("SELECT 1 FROM leases WHERE kind = 'peek' AND ended_at IS NULL")).toEqual([]);
  });
});
