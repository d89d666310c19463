/**
 * Local users looking into rooms, over HTTP: what they are answered, what the homeserver is asked for, and what is left behind.
 */
import { request as httpRequest } from "node:http";
import { expect, test } from "vitest";
import type { FakeRoom, RoomOptions } from "../support/fake-homeserver-rooms.ts";
import { SERVER, type Fault, type FakeHomeserver } from "../support/fake-homeserver.ts";
import {
  eventually,
  gate,
  PSEUDOUSER,
  startService,
  type Answer,
  type Service,
  type Settings,
} from "../support/service-app.ts";

const REASON = "org.matrix.msc1777.reason";
const V3 = "/_matrix/client/v3";
const JOIN = /\/join\//;
const SUMMARY = /\/room_summary\//;
const VIA = "?via=elsewhere.test";
const ALICE = `@alice:${SERVER}`;
const CREATOR = "@creator:elsewhere.test";

/** In the service's hasty time: ample for a busy machine. */
const AMPLE_MS = 600_000;

function start({ peek, ...settings }: Settings = {}): Promise<Service> {
  return startService({ settings: { gateway: { frontDoor: true }, ...settings, peek: { wait: AMPLE_MS, ...peek } } });
}

function openRoom({ homeserver }: Service, options: RoomOptions = {}): FakeRoom {
  return homeserver.makeRoom({ historyVisibility: "world_readable", ...options });
}

function user({ homeserver }: Service, localpart: string): string {
  const token = `token-of-${localpart}`;
  homeserver.tokens.set(token, `@${localpart}:${SERVER}`);
  return token;
}

/** @param what below the room, with its query */
function read(service: Service, room: string, what = `initialSync${VIA}`, token = "token-of-alice"): Promise<Answer> {
  return service.gateway("GET", `${V3}/rooms/${encodeURIComponent(room)}/${what}`, { token });
}

function joins(homeserver: FakeHomeserver): number {
  return homeserver.seen("POST", JOIN).length;
}

function refusal({ status, body }: Answer): unknown[] {
  return [status, body["errcode"], body[REASON]];
}

interface LiveLease {
  readonly holder: string;
  readonly expires_at: number;
}

function liveLeases(service: Service): LiveLease[] {
  return service.query<LiveLease>("SELECT holder, expires_at FROM leases WHERE kind = 'peek' AND ended_at IS NULL");
}

async function untilLeases(service: Service, count: number): Promise<void> {
  await eventually(`${count} leases`, () => liveLeases(service).length === count);
}

test("the first look brings the pseudouser into the room; the answer is the homeserver's own, to the user's own token", async () => {
  const service = await start();
  const { homeserver } = service;
  const room = openRoom(service);
  const said = homeserver.say(room, CREATOR, "hello");
  const answer = await read(service, room.id);
  expect([answer.status, answer.headers["x-fake"]]).toEqual([200, "kept"]);
  expect(JSON.stringify(answer.body["messages"])).toContain(said.event_id);
  expect(room.users("join")).toEqual([PSEUDOUSER, CREATOR]);
  const asked = homeserver.seen("GET", /initialSync$/).map(({ headers }) => headers.authorization);
  expect(asked).toEqual(["Bearer token-of-alice", "Bearer token-of-alice"]);
  expect(homeserver.seen("POST", JOIN).map(({ query }) => query.getAll("via"))).toEqual([["elsewhere.test"]]);
});

// Element's list of members stayed empty: it asks for them at its last sync, which was before the pseudouser came.
test("members of a time before the pseudouser came are those of now; all else that was asked for stands", async () => {
  const service = await start();
  const { homeserver } = service;
  const room = openRoom(service);
  const sync = await service.gateway("GET", `${V3}/sync?timeout=0`, { token: user(service, "alice") });
  const at = sync.body["next_batch"] as string;
  await read(service, room.id);
  await service.untilRoom(room.id, { load: "loaded" });
  const answer = await read(service, room.id, `members?not_membership=leave&at=${at}`);
  expect([answer.status, JSON.stringify(answer.body)]).toEqual([200, expect.stringContaining(CREATOR)]);
  const asked = homeserver.seen("GET", /\/members$/).map(({ query }) => query.toString());
  expect(asked.slice(-2)).toEqual([`not_membership=leave&at=${at}`, "not_membership=leave"]);
  expect(joins(homeserver)).toBe(1);
});

test("what is read next passes, with nothing else asked and no other lease", async () => {
  const service = await start();
  const room = openRoom(service);
  await read(service, room.id);
  await service.untilRoom(room.id, { load: "loaded" });
  const before = service.homeserver.requests.length;
  for (const what of ["messages", "state", "members", "joined_members", "state/m.room.create", "aliases"]) {
    expect([what, (await read(service, room.id, what)).status]).toEqual([what, 200]);
  }
  expect(service.homeserver.requests.slice(before).map(({ headers }) => headers.authorization)).toEqual(
    Array.from({ length: 6 }, () => "Bearer token-of-alice"),
  );
  expect(liveLeases(service)).toHaveLength(1);
});

test.each([
  ["a state event", "state/m.room.topic"],
  ["an event", "event/$unknown"],
])(
  "%s that is missing in a room the user is in is the homeserver's to say, and brings nobody there",
  async (_what, what) => {
    const service = await start();
    const room = openRoom(service, { members: [ALICE] });
    expect(refusal(await read(service, room.id, what))).toEqual([404, "M_NOT_FOUND", undefined]);
    expect([joins(service.homeserver), liveLeases(service)]).toEqual([0, []]);
  },
);

test("an event of a room that nobody here is in is found by looking in", async () => {
  const service = await start();
  const room = openRoom(service);
  const { event_id: id } = service.homeserver.say(room, CREATOR, "linked");
  expect((await read(service, room.id, `event/${id}${VIA}`)).body["event_id"]).toBe(id);
});

const REFUSED: readonly (readonly [what: string, room: RoomOptions, settings: Settings, expected: unknown[]])[] = [
  ["shared history", { historyVisibility: "shared" }, {}, [403, "M_FORBIDDEN", "not-peekable"]],
  ["an invitation needed", { joinRule: "invite" }, {}, [403, "M_FORBIDDEN", "join-rule"]],
  ["nothing to be seen of it", { summary: false }, {}, [403, "M_FORBIDDEN", "not-visible"]],
  ["too many members", { summaryMembers: 11 }, { policy: { maxMembers: 10 } }, [403, "M_FORBIDDEN", "member-cap"]],
  ["no room left", {}, { policy: { maxRooms: 0 } }, [403, "M_FORBIDDEN", "room-cap"]],
  ["no place in peek.rooms", {}, { peek: { rooms: ["#*:listed.test"] } }, [403, "M_FORBIDDEN", "not-listed"]],
  ["no server of peek.servers", {}, { peek: { servers: ["listed.test"] } }, [403, "M_FORBIDDEN", "not-listed"]],
];

test.each(REFUSED)(
  "a room with %s is refused with the reason; no join, no lease",
  async (_what, options, settings, expected) => {
    const service = await start(settings);
    const room = openRoom(service, options);
    expect(refusal(await read(service, room.id))).toEqual(expected);
    expect([joins(service.homeserver), liveLeases(service), room.users("join")]).toEqual([0, [], [CREATOR]]);
  },
);

test("rooms that are not there are refused as rooms that cannot be seen, or as not found by their alias", async () => {
  const service = await start();
  expect(refusal(await read(service, "!nowhere:elsewhere.test"))).toEqual([403, "M_FORBIDDEN", "not-visible"]);
  expect(refusal(await read(service, "#nowhere:elsewhere.test"))).toEqual([404, "M_NOT_FOUND", undefined]);
  expect(refusal(await read(service, "nonsense"))).toEqual([400, "M_INVALID_PARAM", undefined]);
  expect(liveLeases(service)).toEqual([]);
});

test("a join that the homeserver refuses is told with its errcode, and the lease ends", async () => {
  const service = await start();
  const room = openRoom(service);
  service.homeserver.fault("POST", JOIN, { status: 403, body: { errcode: "M_FORBIDDEN", error: "banned by ACL" } });
  const answer = await read(service, room.id);
  expect(refusal(answer)).toEqual([403, "M_FORBIDDEN", "M_FORBIDDEN"]);
  expect(answer.body["error"]).toBe("The homeserver refuses this (M_FORBIDDEN).");
  expect(liveLeases(service)).toEqual([]);
});

test("where the summary does not come the user is answered in time, with the routes in words, and no lease stays", async () => {
  const service = await start({ peek: { wait: 3_000 } });
  const room = openRoom(service);
  service.homeserver.fault("GET", SUMMARY, "hang");
  const answer = await read(service, room.id);
  expect([...refusal(answer), answer.body["org.matrix.msc1777.code"]]).toEqual([
    403,
    "M_FORBIDDEN",
    "silent-routes",
    "timeout",
  ]);
  expect(answer.body["error"]).toContain("(elsewhere.test)");
  expect(liveLeases(service)).toEqual([]);
});

test("a join that takes long goes on after its user was told, and whoever asks again finds it done", async () => {
  const service = await start({ peek: { wait: 40_000 }, attendance: { joinTimeout: 80_000 } });
  const room = openRoom(service);
  service.homeserver.fault("POST", JOIN, "hang");
  const answer = await read(service, room.id);
  expect([...refusal(answer), answer.body["org.matrix.msc1777.code"]]).toEqual([
    403,
    "M_FORBIDDEN",
    "still-joining",
    "timeout",
  ]);
  expect(liveLeases(service)).toHaveLength(1);
  await service.untilRoom(room.id, { load: "loaded" });
  const before = service.homeserver.requests.length;
  expect((await read(service, room.id)).status).toBe(200);
  const asked = service.homeserver.requests.slice(before).filter(({ path }) => !path.endsWith("/whoami"));
  expect(asked.map(({ path }) => path.split("/").at(-1))).toEqual(["initialSync"]);
});

test("a room whose servers all fail is told at once, and its join costs no budget", async () => {
  const service = await start({ policy: { joinsPerUser: { joins: 1, per: 3_600_000 } } });
  const refusing = openRoom(service);
  const error = "Failed to make_join via any server";
  service.homeserver.fault("POST", JOIN, { status: 502, body: { errcode: "M_UNKNOWN", error } }, 10);
  const answer = await read(service, refusing.id);
  expect(refusal(answer)).toEqual([403, "M_FORBIDDEN", "no-server"]);
  expect(answer.body["error"]).toContain("(elsewhere.test)");
  expect(liveLeases(service)).toEqual([]);
  expect(joins(service.homeserver)).toBe(1);
});

test("refused joins cost no budget, and joins do; what is short is told in words that clients show", async () => {
  const service = await start({ policy: { joinsPerUser: { joins: 1, per: 3_600_000 } } });
  for (const status of [403, 404, 403]) {
    const end = service.homeserver.fault("POST", JOIN, { status, body: { errcode: "M_FORBIDDEN", error: "no" } });
    expect(refusal(await read(service, openRoom(service).id))).toEqual([403, "M_FORBIDDEN", "M_FORBIDDEN"]);
    end();
  }
  expect((await read(service, openRoom(service).id)).status).toBe(200);
  const short = await read(service, openRoom(service).id);
  expect([...refusal(short), short.body["org.matrix.msc1777.code"]]).toEqual([
    403,
    "M_FORBIDDEN",
    "budget-user",
    "limited",
  ]);
  expect(short.body["retry_after_ms"]).toBeGreaterThan(0);
});

test("the look that was left alone longest makes room for a new one, and one that waits for news does not", async () => {
  const service = await start({ peek: { roomsPerUser: 2, idle: 36_000_000 } });
  const [polled, second, third, fourth] = Array.from({ length: 4 }, () => openRoom(service));
  await read(service, polled!.id);
  const slow = gate();
  service.homeserver.fault("GET", /\/events$/, { waitFor: slow.opened });
  const poll = service.gateway("GET", `${V3}/events?room_id=${encodeURIComponent(polled!.id)}&timeout=30000`, {
    token: "token-of-alice",
  });
  await eventually("the poll", () => service.homeserver.seen("GET", /\/events$/).length === 1);
  await read(service, second!.id);
  expect((await read(service, third!.id)).status).toBe(200);
  // One that is refused costs none of those that are held.
  expect((await read(service, openRoom(service, { historyVisibility: "shared" }).id)).status).toBe(403);
  expect(roomsOfLeases(service)).toEqual([polled!.id, third!.id].sort());
  expect((await read(service, fourth!.id)).status).toBe(200);
  expect(roomsOfLeases(service)).toEqual([polled!.id, fourth!.id].sort());
  slow.open();
  await poll;
});

function roomsOfLeases(service: Service): string[] {
  const live = "SELECT r.room_id FROM leases l JOIN rooms r ON r.nr = l.room_nr WHERE l.ended_at IS NULL";
  return service
    .query<{ room_id: string }>(live)
    .map(({ room_id: roomId }) => roomId)
    .sort();
}

test("a lease that is booked after its user was answered is given back, and the pseudouser stays out", async () => {
  const service = await start({ peek: { wait: 3_000 } });
  const room = openRoom(service);
  const slow = gate();
  service.homeserver.fault("GET", SUMMARY, { waitFor: slow.opened });
  expect((await read(service, room.id)).status).toBe(403);
  slow.open();
  const ended = "SELECT end_reason FROM leases WHERE kind = 'peek' AND ended_at IS NOT NULL";
  await eventually("the lease's end", () => service.query(ended).length === 1);
  await service.untilRoom(room.id, { phase: "absent" });
});

test("history that does not come in time is not waited for", async () => {
  const service = await start({ peek: { wait: 3_000 } });
  const room = openRoom(service);
  service.homeserver.fault("GET", /\/messages$/, "hang");
  expect((await read(service, room.id)).status).toBe(200);
  expect(liveLeases(service)).toHaveLength(1);
});

test("history that failed to come is fetched again for the next device that peeks, and then no more", async () => {
  const service = await start();
  const room = openRoom(service);
  service.homeserver.fault("GET", /\/messages$/, { status: 500, body: {} });
  for (const name of ["alice", "carol", "dave"]) {
    const path = `/_matrix/client/unstable/org.matrix.msc2753/peek/${encodeURIComponent(room.id)}`;
    const answer = await service.gateway("POST", `${path}${VIA}`, { token: user(service, name), body: {} });
    expect(answer.status).toBe(200);
  }
  const fetches = service.homeserver.seen("GET", /\/messages$/).filter(({ query }) => query.get("limit") === "50");
  expect(fetches).toHaveLength(2);
});

test.each<readonly [string, Fault]>([
  ["breaks off", "close"],
  ["fails", { status: 500, body: {} }],
])("where the homeserver %s when asked whose a token is, the user is told so", async (_what, fault) => {
  const service = await start();
  const room = openRoom(service);
  service.homeserver.fault("GET", /whoami$/, fault);
  expect((await read(service, room.id)).status).toBe(502);
  expect((await read(service, room.id)).status).toBe(200);
});

test("a user who goes away while the room is being joined leaves no lease", async () => {
  const service = await start();
  const room = openRoom(service);
  service.homeserver.fault("POST", JOIN, "hang");
  const asking = httpRequest({
    host: "127.0.0.1",
    port: service.app.ports.gateway,
    path: `${V3}/rooms/${encodeURIComponent(room.id)}/initialSync${VIA}`,
    headers: { authorization: "Bearer token-of-alice" },
  });
  asking.on("error", () => undefined);
  asking.end();
  await eventually("the join", () => joins(service.homeserver) === 1);
  expect(liveLeases(service)).toHaveLength(1);
  asking.destroy();
  await untilLeases(service, 0);
});

test("of two requests of one user, the one that goes away does not end the other's lease", async () => {
  const service = await start();
  const room = openRoom(service);
  const slow = gate();
  service.homeserver.fault("GET", SUMMARY, { waitFor: slow.opened });
  const stays = read(service, room.id);
  const goes = httpRequest({
    host: "127.0.0.1",
    port: service.app.ports.gateway,
    path: `${V3}/rooms/${encodeURIComponent(room.id)}/messages${VIA}`,
    headers: { authorization: "Bearer token-of-alice" },
  });
  goes.on("error", () => undefined);
  goes.end();
  await eventually("both being asked", () => service.homeserver.seen("GET", /initialSync$|messages$/).length === 2);
  await eventually("the look", () => service.homeserver.seen("GET", SUMMARY).length === 1);
  goes.destroy();
  slow.open();
  expect((await stays).status).toBe(200);
  expect(liveLeases(service)).toHaveLength(1);
});

test("two hundred users at once cause one join and one fetch of the history", async () => {
  const service = await start();
  const { homeserver } = service;
  const room = openRoom(service);
  const tokens = Array.from({ length: 200 }, (_, n) => user(service, `u${n}`));
  const slow = gate();
  homeserver.fault("GET", SUMMARY, { waitFor: slow.opened });
  const asked = tokens.map((token) => read(service, room.id, `initialSync${VIA}`, token));
  await eventually("all of them being known", () => homeserver.seen("GET", /whoami$/).length >= tokens.length);
  slow.open();
  const answers = await Promise.all(asked);
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  expect(joins(homeserver)).toBe(1);
  expect(homeserver.seen("GET", /\/messages$/).filter(({ query }) => query.get("limit") === "50")).toHaveLength(1);
  // Who came late found the pseudouser there already, and gets a lease with the next read.
  await service.untilRoom(room.id, { load: "loaded" });
  await Promise.all(tokens.map((token) => read(service, room.id, "initialSync", token)));
  await untilLeases(service, tokens.length);
}, 60_000);

test("one user looks into so many rooms at once, however they are asked for", async () => {
  const service = await start({ peek: { roomsPerUser: 3 } });
  const rooms = Array.from({ length: 8 }, () => openRoom(service));
  const answers = await Promise.all(rooms.map((room) => read(service, room.id)));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
  expect(liveLeases(service)).toHaveLength(3);
  expect(joins(service.homeserver)).toBe(3);
  const [refused] = answers.filter(({ status }) => status !== 200);
  expect(refusal(refused!)).toEqual([403, "M_FORBIDDEN", "peek-cap"]);
  expect(refused!.body["retry_after_ms"]).toBeGreaterThan(0);
  const other = user(service, "other");
  expect((await read(service, rooms.at(-1)!.id, `initialSync${VIA}`, other)).status).toBe(200);
});

test("whoever looks into a room where somebody does already has a lease of its own, and the room stays for it", async () => {
  const service = await start();
  const room = openRoom(service);
  const bob = user(service, "bob");
  await read(service, room.id);
  await service.untilRoom(room.id, { load: "loaded" });
  expect((await read(service, room.id, "initialSync", bob)).status).toBe(200);
  await untilLeases(service, 2);
  expect(joins(service.homeserver)).toBe(1);
});

test("a member who reads a room that the pseudouser is in takes no lease", async () => {
  const service = await start();
  const room = openRoom(service, { members: [`@bob:${SERVER}`] });
  const bob = user(service, "bob");
  await (await service.tenant("one")).join(room.id);
  await service.untilRoom(room.id, { load: "loaded" });
  expect((await read(service, room.id, "initialSync", bob)).status).toBe(200);
  expect(refusal(await read(service, room.id, "state/m.room.topic", bob))).toEqual([404, "M_NOT_FOUND", undefined]);
  expect((await read(service, room.id)).status).toBe(200);
  await untilLeases(service, 1);
});

test("a poll's lease lasts as long as the poll may, and then for the idle time", async () => {
  const service = await start({ peek: { idle: 60_000 } });
  const room = openRoom(service);
  const query = `room_id=${encodeURIComponent(room.id)}&via=elsewhere.test`;
  const before = service.clock.now();
  const polled = await service.gateway("GET", `${V3}/events?${query}&timeout=240000`, { token: "token-of-alice" });
  expect(polled.status).toBe(200);
  await eventually("the lease", () => (liveLeases(service)[0]?.expires_at ?? 0) >= before + 300_000);
});

test("after the idle time the pseudouser leaves, and the next look brings it back by the routes of before", async () => {
  const service = await start({ peek: { idle: 10_000 } });
  const room = openRoom(service);
  await read(service, room.id);
  await eventually("the pseudouser being out", () => room.membership(PSEUDOUSER) === "leave");
  await untilLeases(service, 0);
  expect((await read(service, room.id, "initialSync")).status).toBe(200);
  expect(service.homeserver.seen("POST", JOIN).map(({ query }) => query.getAll("via"))).toEqual([
    ["elsewhere.test"],
    ["elsewhere.test"],
  ]);
});

test("a room that is no longer to be looked into is refused by the homeserver, and left", async () => {
  const service = await start({ peek: { idle: 60_000 } });
  const { homeserver } = service;
  const room = openRoom(service);
  await read(service, room.id);
  await service.untilRoom(room.id, { load: "loaded" });
  homeserver.send(room, CREATOR, "m.room.history_visibility", { history_visibility: "shared" }, "");
  await service.untilDelivered();
  expect(refusal(await read(service, room.id))).toEqual([403, "M_FORBIDDEN", undefined]);
  await eventually("the pseudouser being out", () => room.membership(PSEUDOUSER) === "leave");
});

test("routes are learnt: from the directory before what somebody names, for a look and for a join", async () => {
  const service = await start();
  const { homeserver } = service;
  const room = openRoom(service, { alias: "#room:elsewhere.test" });
  const token = "token-of-alice";
  const id = encodeURIComponent(room.id);
  await service.gateway("GET", `/_matrix/client/v1/room_summary/${id}?via=named.test`, { token });
  await service.gateway("GET", `${V3}/directory/room/${encodeURIComponent("#room:elsewhere.test")}`, { token });
  expect(joins(homeserver)).toBe(0);
  expect((await read(service, room.id, "initialSync")).status).toBe(200);
  await service.gateway("POST", `${V3}/join/${id}`, { token, body: {} });
  await service.gateway("POST", `${V3}/rooms/${id}/join?via=mine.test`, { token, body: {} });
  const [ours, user, named] = [...homeserver.seen("POST", JOIN), ...homeserver.seen("POST", /\/rooms\/[^/]+\/join$/)];
  expect(ours!.query.getAll("via")).toEqual(["elsewhere.test", "named.test"]);
  expect(user!.query.getAll("via")).toEqual(["elsewhere.test", "named.test"]);
  expect(user!.query.getAll("server_name")).toEqual(["elsewhere.test", "named.test"]);
  expect(named!.query.getAll("via")).toEqual(["mine.test"]);
});

test("a look-up without a token teaches no routes", async () => {
  const service = await start();
  const room = openRoom(service);
  const id = encodeURIComponent(room.id);
  await service.gateway("GET", `/_matrix/client/v1/room_summary/${id}?via=evil.test`);
  await read(service, room.id);
  expect(service.homeserver.seen("POST", JOIN)[0]!.query.getAll("via")).toEqual(["elsewhere.test"]);
});

test("peek.rooms knows a room by the alias that its user looked up, and peek.servers lets it be entered through these only", async () => {
  const service = await start({ peek: { rooms: ["#*:elsewhere.test"], servers: ["elsewhere.*"] } });
  const room = openRoom(service, { alias: "#room:elsewhere.test" });
  const token = "token-of-alice";
  expect(refusal(await read(service, room.id))).toEqual([403, "M_FORBIDDEN", "not-listed"]);
  await service.gateway("GET", `${V3}/directory/room/${encodeURIComponent("#room:elsewhere.test")}`, { token });
  expect((await read(service, room.id, "initialSync?via=other.test")).status).toBe(200);
  expect(service.homeserver.seen("POST", JOIN)[0]!.query.getAll("via")).toEqual(["elsewhere.test"]);
});

test("an alias may stand where an ID is expected", async () => {
  const service = await start();
  const room = openRoom(service, { alias: "#room:elsewhere.test" });
  const answer = await read(service, "#room:elsewhere.test", "initialSync?limit=1");
  expect([answer.status, answer.body["room_id"]]).toEqual([200, room.id]);
  expect(
    service.homeserver
      .seen("GET", /initialSync$/)
      .at(-1)!
      .query.get("limit"),
  ).toBe("1");
});

test("whoever has no token, or nobody's, is answered by the homeserver, and nothing is opened", async () => {
  const service = await start();
  const room = openRoom(service);
  const path = `${V3}/rooms/${encodeURIComponent(room.id)}/initialSync${VIA}`;
  expect(refusal(await service.gateway("GET", path))).toEqual([401, "M_MISSING_TOKEN", undefined]);
  expect(refusal(await service.gateway("GET", path, { token: "nobodys" }))).toEqual([
    401,
    "M_UNKNOWN_TOKEN",
    undefined,
  ]);
  expect(service.homeserver.seen("GET", SUMMARY)).toEqual([]);
});

test("a user who logged out while its token was known to us reads nothing more", async () => {
  const service = await start();
  const room = openRoom(service);
  await read(service, room.id);
  service.homeserver.tokens.delete("token-of-alice");
  expect(refusal(await read(service, room.id))).toEqual([401, "M_UNKNOWN_TOKEN", undefined]);
});

test("neither database nor log pair a user with a room", async () => {
  const service = await start();
  const room = openRoom(service);
  await read(service, room.id);
  await read(service, room.id, "messages");
  await read(service, openRoom(service, { historyVisibility: "shared" }).id);
  const tables = service.query<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'");
  const rows = tables.flatMap(({ name }) => service.query(`SELECT * FROM "${name}"`));
  const text = JSON.stringify(rows);
  expect(text).toContain(room.id);
  for (const secret of ["alice", "token-of"]) {
    expect(text).not.toContain(secret);
    expect(service.log.text).not.toContain(secret);
  }
});
