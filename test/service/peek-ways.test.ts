/**
 * The ways into a room that a client has: where it was told of the room, and what it names when it then asks for it.
 */
import { describe, expect, test } from "vitest";
import type { FakeRoom, RoomOptions } from "../support/fake-homeserver-rooms.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import {
  eventually,
  PSEUDOUSER,
  startService,
  type Answer,
  type Service,
  type Settings,
} from "../support/service-app.ts";

const V1 = "/_matrix/client/v1";
const V3 = "/_matrix/client/v3";
const REASON = "org.matrix.msc1777.reason";
const JOIN = /\/join\/|\/rooms\/[^/]+\/join$/;
const ALICE = `@alice:${SERVER}`;
const CREATOR = "@creator:elsewhere.test";
/** In the service's hasty time: ample for a busy machine. */
const AMPLE_MS = 600_000;

function start({ peek, ...settings }: Settings = {}): Promise<Service> {
  return startService({ settings: { gateway: { frontDoor: true }, ...settings, peek: { wait: AMPLE_MS, ...peek } } });
}

let made = 0;

/** A world-readable room of version 12, whose ID names no server, that is reached through one. */
function openRoom({ homeserver }: Service, options: RoomOptions = {}): FakeRoom {
  made += 1;
  const usual = { id: `!way${made}`, version: "12", historyVisibility: "world_readable", routes: ["elsewhere.test"] };
  return homeserver.makeRoom({ ...usual, ...options });
}

function ask(service: Service, path: string, method: "GET" | "POST" = "GET"): Promise<Answer> {
  return service.gateway(method, path, { token: "token-of-alice", ...(method === "POST" ? { body: {} } : {}) });
}

/** As clients peek: by the ID alone. */
function look(service: Service, room: string): Promise<Answer> {
  return ask(service, `${V3}/rooms/${encodeURIComponent(room)}/initialSync`);
}

/** A space of ours or of others, which names rooms. */
function space(service: Service, children: readonly FakeRoom[], options: RoomOptions = {}): FakeRoom {
  const room = openRoom(service, options);
  for (const child of children) {
    service.homeserver.send(room, CREATOR, "m.space.child", { via: ["elsewhere.test"] }, child.id);
  }
  return room;
}

const hierarchyOf = ({ id }: FakeRoom): string => `${V1}/rooms/${encodeURIComponent(id)}/hierarchy`;
const summaryOf = ({ id }: FakeRoom): string => `${V1}/room_summary/${encodeURIComponent(id)}`;

const WAYS: readonly (readonly [
  way: string,
  options: RoomOptions,
  come: (service: Service, room: FakeRoom) => unknown,
])[] = [
  [
    "another server's directory",
    { listed: true },
    (service) => ask(service, `${V3}/publicRooms?server=elsewhere.test`),
  ],
  ["a search there", { listed: true }, (service) => ask(service, `${V3}/publicRooms?server=elsewhere.test`, "POST")],
  [
    "a space of this server",
    {},
    (service, room) => ask(service, hierarchyOf(space(service, [room], { members: [`@bob:${SERVER}`] }))),
  ],
  ["a summary with `via`", {}, (service, room) => ask(service, `${summaryOf(room)}?via=elsewhere.test`)],
  [
    "somebody's join with the servers of a link",
    {},
    (service, room) => {
      service.homeserver.tokens.set("token-of-bob", `@bob:${SERVER}`);
      const path = `${V3}/join/${encodeURIComponent(room.id)}?via=elsewhere.test`;
      return service.gateway("POST", path, { token: "token-of-bob", body: {} }).then(() => {
        room.append("m.room.member", `@bob:${SERVER}`, { membership: "leave" }, `@bob:${SERVER}`);
        service.homeserver.requests.splice(0);
      });
    },
  ],
  [
    "a link in a room that is read",
    {},
    (service, room) => {
      const read = service.homeserver.makeRoom({ members: [ALICE] });
      service.homeserver.say(
        read,
        CREATOR,
        `see https://matrix.to/#/${encodeURIComponent(room.id)}?via=elsewhere.test`,
      );
      return ask(service, `${V3}/rooms/${encodeURIComponent(read.id)}/messages`);
    },
  ],
  ["an ID that names a server", { id: "!old:elsewhere.test", version: "10" }, () => null],
];

describe("a room is looked into, told of and joined by its ID alone after it was shown by", () => {
  test.each(WAYS)("%s", async (_way, options, come) => {
    const service = await start();
    const room = openRoom(service, options);
    await come(service, room);
    const told = await ask(service, summaryOf(room));
    expect([told.status, told.body["room_id"]]).toEqual([200, room.id]);
    expect((await look(service, room.id)).status).toBe(200);
    expect(room.users("join")).toEqual([PSEUDOUSER, CREATOR]);
    await ask(service, `${V3}/join/${encodeURIComponent(room.id)}`, "POST");
    expect(service.homeserver.seen("POST", JOIN).map(({ query }) => query.getAll("via"))).toEqual([
      ["elsewhere.test"],
      ["elsewhere.test"],
    ]);
  });

  test("nothing, and then it is not to be seen", async () => {
    const service = await start();
    const { status, body } = await look(service, openRoom(service).id);
    expect([status, body["errcode"], body[REASON]]).toEqual([403, "M_FORBIDDEN", "not-visible"]);
  });
});

test("a space of another server is opened by asking for its rooms, and each of these can be looked into", async () => {
  const service = await start();
  const children = [openRoom(service), openRoom(service)];
  const root = space(service, children);
  const answer = await ask(service, `${hierarchyOf(root)}?via=elsewhere.test&limit=20`);
  expect(answer.status).toBe(200);
  expect(root.users("join")).toContain(PSEUDOUSER);
  for (const child of children) expect((await look(service, child.id)).status).toBe(200);
});

test("a room of another server that asks for its rooms and may not be looked into is refused as for any read", async () => {
  const service = await start();
  const root = space(service, [], { historyVisibility: "shared" });
  const { status, body } = await ask(service, `${hierarchyOf(root)}?via=elsewhere.test`);
  expect([status, body["errcode"], body[REASON]]).toEqual([403, "M_FORBIDDEN", "not-peekable"]);
  expect(service.homeserver.seen("POST", JOIN)).toEqual([]);
});

describe("what teaches nothing:", () => {
  test("this server's own directory, and whoever has no token", async () => {
    const service = await start();
    const room = openRoom(service, { listed: true });
    await ask(service, `${V3}/publicRooms`);
    await ask(service, `${V3}/publicRooms?server=${SERVER}`);
    await service.gateway("GET", `${V3}/publicRooms?server=elsewhere.test`);
    await service.gateway("GET", `${summaryOf(room)}?via=elsewhere.test`);
    expect((await look(service, room.id)).body[REASON]).toBe("not-visible");
  });

  test("an ID of this server's own", async () => {
    const service = await start();
    const room = openRoom(service, { id: `!gone:${SERVER}`, routes: [SERVER] });
    expect((await look(service, room.id)).body[REASON]).toBe("not-visible");
  });

  test("and for whoever has no token no other server is asked for a summary", async () => {
    const service = await start();
    const room = openRoom(service, { id: "!tokenless:elsewhere.test" });
    await service.gateway("GET", summaryOf(room));
    const asked = service.homeserver.seen("GET", /room_summary/);
    expect(asked.map(({ query }) => query.getAll("via"))).toEqual([[]]);
  });
});

test("what a directory said of an alias comes before what others name, and the ID's own server last", async () => {
  const service = await start();
  const room = openRoom(service, {
    id: "!ranked:maker.test",
    alias: "#ranked:elsewhere.test",
    listed: true,
    routes: ["elsewhere.test", "lists.test"],
  });
  await ask(service, `${V3}/publicRooms?server=lists.test`);
  await ask(service, `${V3}/directory/room/${encodeURIComponent("#ranked:elsewhere.test")}`);
  await ask(service, `${V3}/join/${encodeURIComponent(room.id)}`, "POST");
  const [join] = service.homeserver.seen("POST", JOIN);
  expect(join!.query.getAll("via")).toEqual(["elsewhere.test", "lists.test", "maker.test"]);
});

describe("a server that takes connections and says nothing", () => {
  const via = (...servers: string[]): string => servers.map((server) => `via=${server}`).join("&");
  const viaOfJoin = (service: Service): string[] => service.homeserver.seen("POST", JOIN)[0]!.query.getAll("via");

  test.each([
    ["is passed over by a look and the join that follows", ["silent.test", "elsewhere.test"]],
    ["and so are several", ["silent.test", "mute.test", "elsewhere.test"]],
  ])("%s", async (_what, servers) => {
    const service = await start();
    const room = openRoom(service);
    for (const server of ["silent.test", "mute.test"]) service.homeserver.silent.add(server);
    const path = `${V3}/rooms/${encodeURIComponent(room.id)}/initialSync?${via(...servers)}`;
    expect((await ask(service, path)).status).toBe(200);
    expect(viaOfJoin(service)).toEqual(["elsewhere.test"]);
  });

  test("is passed over by a join of the operator's, for which nobody looks", async () => {
    const service = await start();
    const room = openRoom(service, { historyVisibility: "shared" });
    service.homeserver.silent.add("silent.test");
    const wish = { via: ["silent.test", "elsewhere.test"] };
    expect((await service.admin("POST", `/rooms/${encodeURIComponent(room.id)}/join`, wish)).status).toBe(200);
    expect(viaOfJoin(service)).toEqual(["elsewhere.test"]);
  });

  test("is named where there is no other, and our own homeserver's address is not blamed", async () => {
    const service = await start({ peek: { wait: 3_000 } });
    const room = openRoom(service);
    service.homeserver.silent.add("silent.test");
    const path = `${V3}/rooms/${encodeURIComponent(room.id)}/initialSync?${via("silent.test")}`;
    const { status, body } = await ask(service, path);
    expect([status, body["errcode"], body[REASON]]).toEqual([403, "M_FORBIDDEN", "silent-routes"]);
    expect(body["error"]).toContain("silent.test");
    expect(body["error"]).not.toContain("homeserver.url");
  });

  test("is put last in a join of the user's own, once it is known for what it is", async () => {
    const service = await start();
    const room = openRoom(service);
    service.homeserver.silent.add("silent.test");
    const named = via("silent.test", "elsewhere.test");
    await ask(service, `${V3}/rooms/${encodeURIComponent(room.id)}/initialSync?${named}`);
    await ask(service, `${V3}/join/${encodeURIComponent(room.id)}?${named}&reason=x`, "POST");
    const join = service.homeserver.seen("POST", JOIN).at(-1)!;
    expect([...join.query.entries()].sort()).toEqual([
      ["reason", "x"],
      ["server_name", "elsewhere.test"],
      ["via", "elsewhere.test"],
    ]);
  });
});

describe("who was in a room and left is shown it as it was then, and", () => {
  const gone = (room: FakeRoom): unknown => room.append("m.room.member", ALICE, { membership: "leave" }, ALICE);

  test("where nobody of ours is there any more a look opens it", async () => {
    const service = await start();
    const room = openRoom(service, { id: "!left:elsewhere.test" });
    gone(room);
    expect((await look(service, room.id)).body["membership"]).toBe("leave");
    await eventually("the pseudouser being there", () => room.membership(PSEUDOUSER) === "join");
    const events = await ask(service, `${V3}/events?room_id=${encodeURIComponent(room.id)}&timeout=0`);
    expect(events.status).toBe(200);
  });

  test("where somebody of ours is, it is no reason to come", async () => {
    const service = await start();
    const room = openRoom(service, { id: "!ours:elsewhere.test", members: [`@bob:${SERVER}`] });
    gone(room);
    expect((await look(service, room.id)).status).toBe(200);
    await eventually("the question", () => service.homeserver.seen("GET", /room_summary/).length === 1);
    expect(service.query("SELECT 1 FROM leases")).toEqual([]);
  });
});
