/**
 * Personas: the users of a tenant's namespace. A bridge does with them what it does with its ghosts on a homeserver, and none of it
 * puts a membership event into any room: they exist inside Emissary, and their messages say who they are.
 */
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/model/json.ts";
import { SERVER, type FakeHomeserver } from "../support/fake-homeserver.ts";
import type { FakeRoom, RoomOptions } from "../support/fake-homeserver-rooms.ts";
import {
  eventually,
  fakeHomeserver,
  PSEUDOUSER,
  startService,
  type Answer,
  type Service,
  type Settings,
  type TenantClient,
} from "../support/service-app.ts";

const OWNER = "org.matrix.msc1777.on_behalf_of";
const PERSONA = "org.matrix.msc1777.persona";
const PROFILE = "com.beeper.per_message_profile";
const CREATOR = "@creator:elsewhere.test";
const ANNA = `@_one_anna:${SERVER}`;
const BERT = `@_one_bert:${SERVER}`;
const TWOS = `@_two_zoe:${SERVER}`;
const ACTIONS = ["read", "send", "redact", "state", "room-state"];

interface Scene {
  readonly service: Service;
  readonly homeserver: FakeHomeserver;
  readonly one: TenantClient;
  readonly two: TenantClient;
  readonly anna: TenantClient;
  readonly bert: TenantClient;
}

/** Two tenants, each with a namespace; nobody is in any room. */
async function scene(settings: Settings = {}, actions: readonly string[] = ACTIONS): Promise<Scene> {
  const homeserver = await fakeHomeserver();
  const service = await startService({ homeserver, settings });
  const one = await service.tenant("one", actions, `@_one_.*:${SERVER}`);
  const two = await service.tenant("two", actions, `@_two_.*:${SERVER}`);
  return { service, homeserver, one, two, anna: one.as(ANNA), bert: one.as(BERT) };
}

/** The same, with one's sender, Anna and Bert in a room. */
async function inRoom(
  options: RoomOptions = {},
  settings: Settings = {},
  actions: readonly string[] = ACTIONS,
): Promise<Scene & { readonly room: FakeRoom; readonly base: string }> {
  const all = await scene(settings, actions);
  const room = all.homeserver.makeRoom(options);
  for (const user of [all.one, all.anna, all.bert]) expect((await user.join(room.id)).status).toBe(200);
  await all.service.untilRoom(room.id, { load: "loaded" });
  return { ...all, room, base: baseOf(room) };
}

const baseOf = (room: FakeRoom): string => `/rooms/${encodeURIComponent(room.id)}`;
const outcome = ({ status, body }: Answer): unknown[] => [status, body["errcode"]];
const memberships = (room: FakeRoom): string[] =>
  room.timeline.filter(({ type }) => type === "m.room.member").map((event) => event["state_key"] as string);

function eventIdOf(answer: Answer): string {
  expect(answer.body).toMatchObject({ event_id: expect.any(String) as string });
  return answer.body["event_id"] as string;
}

test("what a bridge does for its ghosts puts no membership event into any room", async () => {
  const { service, homeserver, one } = await scene();
  const room = homeserver.makeRoom({ alias: "#hall:elsewhere.test", members: ["@mary:elsewhere.test"] });
  const base = baseOf(room);
  await one.ask("POST", "/register", {
    type: "m.login.application_service",
    username: one.sender.slice(1).split(":")[0],
  });
  await one.join("#hall:elsewhere.test");
  for (const ghost of [ANNA, BERT]) {
    const client = one.as(ghost);
    const username = ghost.slice(1).split(":")[0];
    const answers = [
      await client.ask("POST", "/register?kind=user", {
        type: "m.login.application_service",
        username,
        inhibit_login: true,
      }),
      await client.ask("PUT", `/profile/${encodeURIComponent(ghost)}/displayname`, { displayname: "A ghost" }),
      await client.ask("PUT", `/profile/${encodeURIComponent(ghost)}/avatar_url`, { avatar_url: "mxc://hs.test/a" }),
      await one.ask("POST", `${base}/invite`, { user_id: ghost }),
      await client.join(room.id),
      await client.ask("PUT", `/presence/${encodeURIComponent(ghost)}/status`, { presence: "online" }),
      await client.ask("PUT", `${base}/typing/${encodeURIComponent(ghost)}`, { typing: true, timeout: 1_000 }),
      await client.send(room.id, { msgtype: "m.text", body: "hello" }),
      await client.ask("GET", "/joined_rooms"),
      await client.ask("GET", `${base}/joined_members`),
      await one.ask("POST", `${base}/kick`, { user_id: ghost }),
      await client.join(room.id),
      await client.leave(room.id),
      await client.ask("POST", `${base}/forget`, {}),
    ];
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  }
  expect(memberships(room)).toEqual([CREATOR, "@mary:elsewhere.test", PSEUDOUSER]);
  expect(homeserver.pseudousers).toEqual([PSEUDOUSER]);
  for (const { path, query, body } of homeserver.requests) {
    expect(query.get("user_id") ?? PSEUDOUSER).toBe(PSEUDOUSER);
    if (!path.includes("/send/")) expect(path + JSON.stringify(body)).not.toContain("_one_");
  }
  await one.leave(room.id);
  await service.untilRoom(room.id, { phase: "absent" });
  expect(memberships(room)).toEqual([CREATOR, "@mary:elsewhere.test", PSEUDOUSER, PSEUDOUSER]);
});

describe("registering", () => {
  const TYPE = "m.login.application_service";

  test("a persona is there after it, once, and has neither token nor device", async () => {
    const { one } = await scene();
    for (const body of [
      { type: TYPE, username: "_one_anna" },
      { type: TYPE, username: "_one_bert", inhibit_login: true },
      { type: TYPE, user: `@_one_cleo:${SERVER}` },
      { type: TYPE, username: one.sender.slice(1).split(":")[0] },
    ]) {
      const name = body.user ?? `@${body.username}:${SERVER}`;
      const available = `/register/available?username=${encodeURIComponent(body.username ?? "_one_cleo")}`;
      expect((await one.ask("GET", available)).body).toEqual({ available: true });
      expect((await one.ask("POST", "/register", body)).body).toEqual({ user_id: name, home_server: SERVER });
      expect(outcome(await one.ask("POST", "/register", body))).toEqual([400, "M_USER_IN_USE"]);
      expect(outcome(await one.ask("GET", available))).toEqual([400, "M_USER_IN_USE"]);
    }
  });

  test.each<[string, JsonObject, unknown[]]>([
    ["another tenant's namespace", { type: TYPE, username: "_two_zoe" }, [400, "M_EXCLUSIVE"]],
    ["another tenant's sender", { type: TYPE, username: "_emissary_two" }, [400, "M_EXCLUSIVE"]],
    ["the pseudouser", { type: TYPE, user: PSEUDOUSER }, [400, "M_EXCLUSIVE"]],
    ["an ordinary user", { type: TYPE, username: "alice" }, [400, "M_EXCLUSIVE"]],
    ["another server's user", { type: TYPE, username: "@_one_x:elsewhere.test" }, [400, "M_EXCLUSIVE"]],
    ["a server within a localpart", { type: TYPE, username: "_one_x:elsewhere.test" }, [400, "M_EXCLUSIVE"]],
    ["nobody", { type: TYPE, username: "" }, [400, "M_BAD_JSON"]],
    ["no name", { type: TYPE }, [400, "M_BAD_JSON"]],
    ["an ordinary account", { type: "m.login.dummy", username: "_one_anna", password: "x" }, [403, "M_FORBIDDEN"]],
    ["an account without a type", { username: "_one_anna" }, [403, "M_FORBIDDEN"]],
  ])("%s is refused, and the homeserver does not hear of it", async (_whom, body, refusal) => {
    const { one, homeserver } = await scene();
    const before = homeserver.requests.length;
    expect(outcome(await one.ask("POST", "/register", body))).toEqual(refusal);
    expect(homeserver.requests.slice(before)).toEqual([]);
  });

  test("guests are not made", async () => {
    const { one } = await scene();
    const guest = await one.ask("POST", "/register?kind=guest", { type: TYPE, username: "_one_anna" });
    expect(outcome(guest)).toEqual([403, "M_FORBIDDEN"]);
  });

  test("a persona that acts is registered by that", async () => {
    const { one } = await inRoom();
    expect(outcome(await one.ask("POST", "/register", { type: TYPE, username: "_one_anna" }))).toEqual([
      400,
      "M_USER_IN_USE",
    ]);
  });
});

describe("profiles", () => {
  const path = (user: string, field = ""): string => `/profile/${encodeURIComponent(user)}${field}`;

  test("of the tenant's users are what it set, and nothing where it set nothing", async () => {
    const { anna, one } = await scene();
    expect((await one.ask("GET", path(ANNA))).body).toEqual({});
    expect((await one.ask("GET", path(ANNA, "/displayname"))).body).toEqual({});
    await anna.ask("PUT", path(ANNA, "/displayname"), { displayname: "Anna" });
    await anna.ask("PUT", path(ANNA, "/avatar_url"), { avatar_url: "mxc://hs.test/a" });
    expect((await one.ask("GET", path(ANNA))).body).toEqual({ displayname: "Anna", avatar_url: "mxc://hs.test/a" });
    expect((await one.ask("GET", path(ANNA, "/displayname"))).body).toEqual({ displayname: "Anna" });
    expect((await one.ask("GET", path(ANNA, "/avatar_url"))).body).toEqual({ avatar_url: "mxc://hs.test/a" });
    await anna.ask("PUT", path(ANNA, "/displayname"), { displayname: "" });
    expect((await one.ask("GET", path(ANNA))).body).toEqual({ avatar_url: "mxc://hs.test/a" });
  });

  test("of others are the homeserver's, also where they are another tenant's", async () => {
    const { one, two, homeserver } = await scene();
    homeserver.profiles.set("@alice:hs.test", "Alice");
    expect((await one.ask("GET", path("@alice:hs.test"))).body).toEqual({ displayname: "Alice" });
    await two.as(TWOS).ask("PUT", path(TWOS, "/displayname"), { displayname: "Zoe" });
    expect(outcome(await one.ask("GET", path(TWOS)))).toEqual([404, "M_NOT_FOUND"]);
  });

  test.each([TWOS, PSEUDOUSER, `@_emissary_two:${SERVER}`, `@alice:${SERVER}`, "@_one_x:elsewhere.test", "nobody"])(
    "%s is nobody whose profile the tenant could set",
    async (user) => {
      const { one, homeserver } = await scene();
      const before = homeserver.requests.length;
      expect(outcome(await one.ask("PUT", path(user, "/displayname"), { displayname: "x" }))).toEqual([
        403,
        "M_FORBIDDEN",
      ]);
      expect(homeserver.requests.slice(before)).toEqual([]);
    },
  );

  test.each<[string, JsonObject]>([
    ["a number", { displayname: 1 }],
    ["an object", { displayname: {} }],
    ["a name without end", { displayname: "x".repeat(257) }],
    ["another field", { avatar_url: "mxc://hs.test/a" }],
  ])("%s is no display name", async (_what, body) => {
    const { anna } = await scene();
    expect(outcome(await anna.ask("PUT", path(ANNA, "/displayname"), body))).toEqual([400, "M_BAD_JSON"]);
  });
});

describe("being in rooms", () => {
  test("whoami is the persona", async () => {
    const { anna } = await scene();
    expect((await anna.ask("GET", "/account/whoami")).body).toEqual({
      user_id: ANNA,
      device_id: "EMISSARY",
      is_guest: false,
    });
  });

  test("each user has its own rooms", async () => {
    const { one, anna, homeserver } = await scene();
    const [hall, cellar] = [homeserver.makeRoom(), homeserver.makeRoom()];
    await one.join(hall.id);
    await anna.join(cellar.id);
    expect(await one.joinedRooms()).toEqual([hall.id]);
    expect(await anna.joinedRooms()).toEqual([cellar.id]);
  });

  test("joins into a room where the tenant is already ask nothing of the homeserver", async () => {
    const { one, room, homeserver } = await inRoom();
    const before = homeserver.requests.length;
    const ghosts = Array.from({ length: 100 }, (_, n) => one.as(`@_one_ghost${n}:${SERVER}`));
    const joins = await Promise.all(ghosts.map((ghost) => ghost.join(room.id)));
    expect(joins.map(({ body }) => body)).toEqual(ghosts.map(() => ({ room_id: room.id })));
    expect(homeserver.requests.slice(before).map(({ method, path }) => `${method} ${path}`)).toEqual([]);
  });

  test("a hundred first joins at once are one join", async () => {
    const { one, homeserver } = await scene();
    const room = homeserver.makeRoom();
    const ghosts = Array.from({ length: 100 }, (_, n) => one.as(`@_one_ghost${n}:${SERVER}`));
    const joins = await Promise.all(ghosts.map((ghost) => ghost.join(room.id)));
    expect(new Set(joins.map(({ status }) => status))).toEqual(new Set([200]));
    expect(homeserver.seen("POST", /\/join\//).length).toBe(1);
    const { body } = await one.ask("GET", `${baseOf(room)}/joined_members`);
    expect(Object.keys(body["joined"] as JsonObject)).toHaveLength(101);
  });

  test("the last persona's leave releases the lease, and the pseudouser goes", async () => {
    const { service, one, anna, bert, room } = await inRoom();
    for (const user of [one, anna, anna]) expect((await user.leave(room.id)).status).toBe(200);
    expect(await service.room(room.id)).toMatchObject({ phase: "present", leases: [{ holder: "tenant:one" }] });
    expect(await one.joinedRooms()).toEqual([]);
    expect((await anna.send(room.id, { msgtype: "m.text", body: "the tenant is still here" })).status).toBe(200);
    await bert.leave(room.id);
    await service.untilRoom(room.id, { phase: "absent" });
    expect(room.membership(PSEUDOUSER)).toBe("leave");
    expect(outcome(await bert.send(room.id, { body: "x" }))).toEqual([403, "M_FORBIDDEN"]);
  });

  test("joins and leaves in disorder leave the lease to whoever is in", async () => {
    const { service, anna, bert, one, homeserver } = await scene({ attendance: { linger: 60_000 } });
    const room = homeserver.makeRoom();
    for (let round = 0; round < 10; round += 1) {
      const answers = await Promise.all([
        anna.join(room.id),
        bert.leave(room.id),
        one.join(room.id),
        one.leave(room.id),
      ]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      await one.leave(room.id);
      expect(await service.room(room.id)).toMatchObject({ leases: [{ holder: "tenant:one" }] });
      expect(await anna.joinedRooms()).toEqual([room.id]);
      await anna.leave(room.id);
      expect(await service.room(room.id)).toMatchObject({ leases: [] });
    }
  });

  test("a kick of the pseudouser puts all of them out", async () => {
    const { service, one, anna, room, homeserver } = await inRoom();
    homeserver.setMembership(room, PSEUDOUSER, "leave", CREATOR);
    await eventually("the kick being known", async () => (await service.room(room.id))["own_membership"] === "leave");
    expect(await anna.joinedRooms()).toEqual([]);
    expect((await anna.join(room.id)).body["org.matrix.msc1777.reason"]).toBe("put-out");
    homeserver.setMembership(room, PSEUDOUSER, "invite", CREATOR);
    await eventually(
      "the invite being known",
      async () => (await service.room(room.id))["own_membership"] === "invite",
    );
    expect((await anna.join(room.id)).status).toBe(200);
    expect(await anna.joinedRooms()).toEqual([room.id]);
    expect(await one.joinedRooms()).toEqual([]);
  });

  test("a room is forgotten after it was left", async () => {
    const { anna, room, base } = await inRoom();
    expect((await anna.ask("POST", `${base}/forget`, {})).status).toBe(400);
    await anna.leave(room.id);
    expect((await anna.ask("POST", `${base}/forget`, {})).status).toBe(200);
  });

  test("a restart keeps them in, with their profiles", async () => {
    const { service, homeserver, one, anna, room } = await inRoom();
    await anna.ask("PUT", `/profile/${encodeURIComponent(ANNA)}/displayname`, { displayname: "Anna" });
    await service.untilDelivered();
    await service.app.stop();
    const second = await startService({ homeserver, sqlite: service.config.storage.sqlite });
    expect(await anna.at(second).joinedRooms()).toEqual([room.id]);
    const { body } = await one.at(second).ask("GET", `${baseOf(room)}/joined_members`);
    expect(body["joined"]).toMatchObject({ [ANNA]: { display_name: "Anna" }, [BERT]: {} });
    const eventId = eventIdOf(await anna.at(second).send(room.id, { msgtype: "m.text", body: "back" }));
    expect(room.event(eventId)!.content).toMatchObject({ [PERSONA]: ANNA, [PROFILE]: { displayname: "Anna" } });
    expect(homeserver.seen("POST", /\/join\//).length).toBe(1);
  });

  /** The registration lets the homeserver tell us of invites. A private room opens to whom an invite is addressed. */
  test("an invite of the pseudouser that names the tenant lets its users into a private room, and no other tenant's", async () => {
    const { service, anna, two, homeserver } = await scene();
    const room = homeserver.makeRoom({ joinRule: "invite", summary: false });
    expect(outcome(await anna.join(room.id))).toEqual([403, "M_FORBIDDEN"]);
    homeserver.send(room, CREATOR, "m.room.member", { membership: "invite", reason: "for one, please" }, PSEUDOUSER);
    await eventually("the invite", async () => (await service.room(room.id))["own_membership"] === "invite");
    expect(outcome(await two.join(room.id))).toEqual([403, "M_FORBIDDEN"]);
    expect((await anna.join(room.id)).status).toBe(200);
    expect((await anna.send(room.id, { msgtype: "m.text", body: "thanks" })).status).toBe(200);
  });
});

describe("who is in a room", () => {
  test("is told with the tenant's own personas in place of the pseudouser, and never with another tenant's", async () => {
    const { one, two, anna, room, base } = await inRoom({ members: ["@mary:elsewhere.test"] });
    await anna.ask("PUT", `/profile/${encodeURIComponent(ANNA)}/displayname`, { displayname: "Anna" });
    await anna.ask("PUT", `/profile/${encodeURIComponent(ANNA)}/avatar_url`, { avatar_url: "mxc://hs.test/a" });
    await two.as(TWOS).join(room.id);
    const joined = async (client: TenantClient) => (await client.ask("GET", `${base}/joined_members`)).body["joined"];
    expect(await joined(one)).toEqual({
      [CREATOR]: {},
      "@mary:elsewhere.test": {},
      [one.sender]: {},
      [ANNA]: { display_name: "Anna", avatar_url: "mxc://hs.test/a" },
      [BERT]: {},
    });
    expect(await joined(two)).toEqual({ [CREATOR]: {}, "@mary:elsewhere.test": {}, [TWOS]: {} });
  });

  test("is told by events, too, of which only the others' are in the room", async () => {
    const { one, anna, base } = await inRoom();
    await anna.ask("PUT", `/profile/${encodeURIComponent(ANNA)}/displayname`, { displayname: "Anna" });
    const members = async (query: string) =>
      (await one.ask("GET", `${base}/members${query}`)).body["chunk"] as JsonObject[];
    const keys = async (query: string) => (await members(query)).map((event) => event["state_key"]);
    expect(await keys("")).toEqual([CREATOR, one.sender, ANNA, BERT]);
    expect(await keys("?membership=join")).toEqual([CREATOR, one.sender, ANNA, BERT]);
    expect(await keys("?not_membership=leave")).toEqual([CREATOR, one.sender, ANNA, BERT]);
    expect(await keys("?not_membership=join")).toEqual([CREATOR]);
    const event = (await members("")).find(({ state_key }) => state_key === ANNA)!;
    expect(event).toMatchObject({
      type: "m.room.member",
      sender: ANNA,
      content: { membership: "join", displayname: "Anna" },
    });
    expect(event["event_id"]).toEqual(expect.stringMatching(/^\$/));
  });

  test("is told of one persona as state, while it is in", async () => {
    const { one, anna, room, base } = await inRoom();
    const state = (user: string, query = "") =>
      one.ask("GET", `${base}/state/m.room.member/${encodeURIComponent(user)}${query}`);
    await anna.ask("PUT", `/profile/${encodeURIComponent(ANNA)}/displayname`, { displayname: "Anna" });
    expect((await state(ANNA)).body).toEqual({ membership: "join", displayname: "Anna" });
    expect((await state(ANNA, "?format=event")).body).toMatchObject({ state_key: ANNA, sender: ANNA });
    expect((await state(CREATOR)).body).toEqual({ membership: "join" });
    expect(outcome(await state(PSEUDOUSER))).toEqual([404, "M_NOT_FOUND"]);
    await anna.leave(room.id);
    expect(outcome(await state(ANNA))).toEqual([404, "M_NOT_FOUND"]);
    expect(outcome(await state(`@_one_unheard:${SERVER}`))).toEqual([404, "M_NOT_FOUND"]);
  });

  test("is the business of those who may read there", async () => {
    const { two, base } = await inRoom();
    for (const what of ["joined_members", "members", `state/m.room.member/${encodeURIComponent(TWOS)}`]) {
      expect([what, ...outcome(await two.ask("GET", `${base}/${what}`))]).toEqual([what, 403, "M_FORBIDDEN"]);
    }
  });

  test("stays the homeserver's word where that refuses, and is no empty list where that talks nonsense", async () => {
    const { one, base, homeserver } = await inRoom();
    const body = { errcode: "M_LIMIT_EXCEEDED", error: "later" };
    homeserver.fault("GET", /joined_members/, { status: 429, body });
    const answer = await one.ask("GET", `${base}/joined_members`);
    expect([answer.status, answer.body]).toEqual([429, body]);
    for (const what of ["joined_members", "members"]) {
      homeserver.fault("GET", new RegExp(`/${what}$`), { text: "<html>garbage" });
      expect(outcome(await one.ask("GET", `${base}/${what}`))).toEqual([502, "M_UNKNOWN"]);
    }
  });
});

describe("a membership sent as state", () => {
  const at = (base: string, user: string): string => `${base}/state/m.room.member/${encodeURIComponent(user)}`;

  test("of a persona joins, leaves, and sets its profile, and no event is sent", async () => {
    const { one, anna, room, base } = await inRoom();
    const cleo = `@_one_cleo:${SERVER}`;
    const join = { membership: "join", displayname: "Cleo", avatar_url: "mxc://hs.test/c" };
    eventIdOf(await one.as(cleo).ask("PUT", at(base, cleo), join));
    expect(await one.as(cleo).joinedRooms()).toEqual([room.id]);
    expect((await one.ask("GET", `/profile/${encodeURIComponent(cleo)}`)).body).toEqual({
      displayname: "Cleo",
      avatar_url: "mxc://hs.test/c",
    });
    eventIdOf(await one.ask("PUT", at(base, cleo), { membership: "invite" }));
    eventIdOf(await one.ask("PUT", at(base, cleo), { membership: "leave" }));
    expect(await one.as(cleo).joinedRooms()).toEqual([]);
    expect(outcome(await anna.ask("PUT", at(base, ANNA), { membership: "knock" }))).toEqual([400, "M_BAD_JSON"]);
    expect(memberships(room)).toEqual([CREATOR, PSEUDOUSER]);
  });

  test.each([PSEUDOUSER, `@alice:${SERVER}`, TWOS, `@_emissary_two:${SERVER}`, "@_one_x:elsewhere.test", ""])(
    "of %s is refused",
    async (user) => {
      const { one, room, base } = await inRoom();
      for (const membership of ["join", "leave", "ban", "invite"]) {
        expect(outcome(await one.ask("PUT", at(base, user), { membership }))).toEqual([403, "M_FORBIDDEN"]);
      }
      expect(memberships(room)).toEqual([CREATOR, PSEUDOUSER]);
    },
  );
});

describe("inviting, kicking and banning", () => {
  const ALL = [...ACTIONS, "invite", "kick", "ban"];
  const VICTIM = "@victim:elsewhere.test";

  test("a persona is invited without a trace, and a kick or ban takes it out", async () => {
    const { one, anna, bert, room, base, homeserver } = await inRoom();
    const before = homeserver.requests.length;
    expect((await one.ask("POST", `${base}/kick`, { user_id: ANNA })).body).toEqual({});
    expect((await one.ask("POST", `${base}/ban`, { user_id: BERT })).body).toEqual({});
    expect([await anna.joinedRooms(), await bert.joinedRooms()]).toEqual([[], []]);
    expect((await one.ask("POST", `${base}/unban`, { user_id: BERT })).body).toEqual({});
    expect((await one.ask("POST", `${base}/invite`, { user_id: ANNA })).body).toEqual({});
    expect(await anna.joinedRooms()).toEqual([]);
    expect((await anna.join(room.id)).status).toBe(200);
    expect(homeserver.requests.slice(before)).toEqual([]);
  });

  test("others are invited, kicked and banned by the pseudouser, which is audited", async () => {
    const { service, anna, room, base, homeserver } = await inRoom({}, {}, ALL);
    for (const [what, membership] of [
      ["invite", "invite"],
      ["kick", "leave"],
      ["ban", "ban"],
      ["unban", "leave"],
    ] as const) {
      const asked = { user_id: VICTIM, reason: "because", id_server: "elsewhere.test" };
      expect((await anna.ask("POST", `${base}/${what}`, asked)).status).toBe(200);
      expect([what, room.membership(VICTIM)]).toEqual([what, membership]);
      expect(homeserver.requests.at(-1)!.body).toEqual({
        membership,
        reason: "because",
        "org.matrix.msc1777.on_behalf_of": "one",
        [PERSONA]: ANNA,
      });
      const { body } = await service.admin("GET", "/audit?limit=1");
      expect(body["entries"]).toMatchObject([
        {
          actor: "tenant:one",
          action: `member.${what}`,
          outcome: "done",
          room_id: room.id,
          detail: { user_id: VICTIM },
        },
      ]);
    }
    expect(room.timeline.at(-1)!.sender).toBe(PSEUDOUSER);
  });

  test("others need the action", async () => {
    const { one, room, base } = await inRoom();
    for (const what of ["invite", "kick", "ban", "unban"]) {
      expect(outcome(await one.ask("POST", `${base}/${what}`, { user_id: VICTIM }))).toEqual([403, "M_FORBIDDEN"]);
    }
    expect(room.membership(VICTIM)).toBe(null);
  });

  test.each([PSEUDOUSER, TWOS, `@_emissary_two:${SERVER}`])("%s cannot be reached by them", async (user) => {
    const { one, room, base, homeserver } = await inRoom({}, {}, ALL);
    const before = homeserver.requests.length;
    for (const what of ["invite", "kick", "ban", "unban"]) {
      expect(outcome(await one.ask("POST", `${base}/${what}`, { user_id: user }))).toEqual([403, "M_FORBIDDEN"]);
    }
    expect(homeserver.requests.slice(before)).toEqual([]);
    expect(room.membership(PSEUDOUSER)).toBe("join");
  });

  test.each([{}, { user_id: 1 }, { user_id: "victim" }, { user_id: "" }, { medium: "email", address: "v@x.test" }])(
    "%o names nobody",
    async (body) => {
      const { one, base } = await inRoom({}, {}, ALL);
      for (const what of ["invite", "kick", "ban", "unban"]) {
        expect(outcome(await one.ask("POST", `${base}/${what}`, body))).toEqual([400, "M_INVALID_PARAM"]);
      }
    },
  );
});

describe("what a persona sends", () => {
  test("goes out as the pseudouser, with its name and avatar, and whose it is", async () => {
    const { anna, room } = await inRoom();
    await anna.ask("PUT", `/profile/${encodeURIComponent(ANNA)}/displayname`, { displayname: "Anna" });
    await anna.ask("PUT", `/profile/${encodeURIComponent(ANNA)}/avatar_url`, { avatar_url: "mxc://hs.test/a" });
    const eventId = eventIdOf(await anna.send(room.id, { msgtype: "m.text", body: "hello" }));
    expect(room.event(eventId)).toMatchObject({
      sender: PSEUDOUSER,
      content: {
        msgtype: "m.text",
        body: "Anna: hello",
        [OWNER]: "one",
        [PERSONA]: ANNA,
        [PROFILE]: { id: ANNA, displayname: "Anna", avatar_url: "mxc://hs.test/a", has_fallback: true },
      },
    });
  });

  test("has no name in its text where the operator wants none there", async () => {
    const { anna, room } = await inRoom({}, { gateway: { personaFallback: false } });
    await anna.ask("PUT", `/profile/${encodeURIComponent(ANNA)}/displayname`, { displayname: "Anna" });
    const eventId = eventIdOf(await anna.send(room.id, { msgtype: "m.text", body: "hello" }));
    expect(room.event(eventId)!.content).toMatchObject({ body: "hello", [PROFILE]: { has_fallback: false } });
  });

  test("is the sender's own where the sender sends, without a profile", async () => {
    const { one, room } = await inRoom();
    const eventId = eventIdOf(await one.send(room.id, { msgtype: "m.text", body: "hello", [PERSONA]: ANNA }));
    expect(room.event(eventId)!.content).toEqual({ msgtype: "m.text", body: "hello", [OWNER]: "one" });
  });

  test("bears our marks whatever it claims, an edit's new content too", async () => {
    const { anna, room } = await inRoom();
    const claim = { msgtype: "m.text", body: "x", [OWNER]: "two", [PERSONA]: TWOS };
    const own = eventIdOf(await anna.send(room.id, claim));
    const relation = { rel_type: "m.replace", event_id: own };
    const edit = eventIdOf(await anna.send(room.id, { ...claim, "m.new_content": claim, "m.relates_to": relation }));
    for (const eventId of [own, edit]) {
      expect(room.event(eventId)!.content).toMatchObject({ [OWNER]: "one", [PERSONA]: ANNA });
      expect(JSON.stringify(room.event(eventId)!.content)).not.toContain("two");
    }
  });

  test("may come from one that never joined, as long as the tenant is in the room", async () => {
    const { one, two, room } = await inRoom();
    const cleo = one.as(`@_one_cleo:${SERVER}`);
    eventIdOf(await cleo.send(room.id, { msgtype: "m.text", body: "hello" }));
    expect(await cleo.joinedRooms()).toEqual([]);
    expect(outcome(await two.as(TWOS).send(room.id, { msgtype: "m.text", body: "x" }))).toEqual([403, "M_FORBIDDEN"]);
  });

  test("with one transaction ID is one event of each persona, also after a restart", async () => {
    const { service, homeserver, one, two, anna, bert, room } = await inRoom();
    await two.join(room.id);
    const clients = [one, anna, bert, two, one.as(`@_one_anna~x:${SERVER}`)];
    const send = async (client: TenantClient, txn = "same") =>
      eventIdOf(await client.send(room.id, { msgtype: "m.text", body: "hello" }, { txn }));
    const sent = [];
    for (const client of clients) sent.push(await send(client));
    expect(new Set(sent).size).toBe(clients.length);
    // A localpart that ends as another's transaction ID begins.
    expect(await send(anna, "x~same")).not.toBe(sent[4]);
    await service.untilDelivered();
    await service.app.stop();
    const second = await startService({ homeserver, sqlite: service.config.storage.sqlite });
    for (const [n, client] of clients.entries()) expect(await send(client.at(second))).toBe(sent[n]);
  });

  test("is edited and redacted by any persona of its tenant, and by no other tenant's", async () => {
    const { anna, bert, one, two, room, base } = await inRoom();
    const zoe = two.as(TWOS);
    await zoe.join(room.id);
    const eventId = eventIdOf(await anna.send(room.id, { msgtype: "m.text", body: "hello" }));
    const edit = { msgtype: "m.text", body: "* hi", "m.relates_to": { rel_type: "m.replace", event_id: eventId } };
    const redaction = `${base}/redact/${encodeURIComponent(eventId)}/r`;
    expect(outcome(await zoe.send(room.id, edit))).toEqual([403, "M_FORBIDDEN"]);
    expect(outcome(await zoe.ask("PUT", redaction, {}))).toEqual([403, "M_FORBIDDEN"]);
    for (const client of [anna, bert, one]) eventIdOf(await client.send(room.id, edit));
    eventIdOf(await bert.ask("PUT", redaction, { reason: "why" }));
    expect(room.event(eventId)!.content).toEqual({});
    expect(room.timeline.at(-1)!.content).toMatchObject({ reason: "why", [OWNER]: "one", [PERSONA]: BERT });
  });

  /** A redacted event says no longer whose it was, so that a redaction whose answer got lost could not be repeated. */
  test("can be redacted again by a repeated request, which is the same redaction", async () => {
    const { anna, two, room, base } = await inRoom();
    await two.join(room.id);
    const eventId = eventIdOf(await anna.send(room.id, { msgtype: "m.text", body: "hello" }));
    const redaction = `${base}/redact/${encodeURIComponent(eventId)}/r`;
    const first = eventIdOf(await anna.ask("PUT", redaction, {}));
    expect(eventIdOf(await anna.ask("PUT", redaction, {}))).toBe(first);
    expect(outcome(await two.ask("PUT", redaction, {}))).toEqual([403, "M_FORBIDDEN"]);
  });

  test("as state is marked, and no other tenant replaces it", async () => {
    const { anna, bert, two, room, base } = await inRoom();
    await two.join(room.id);
    const target = `${base}/state/com.example.config/key`;
    eventIdOf(await anna.ask("PUT", target, { v: 1 }));
    expect(room.stateEvent("com.example.config", "key")!.content).toEqual({ v: 1, [OWNER]: "one", [PERSONA]: ANNA });
    expect(outcome(await two.as(TWOS).ask("PUT", target, { v: 2 }))).toEqual([403, "M_FORBIDDEN"]);
    eventIdOf(await bert.ask("PUT", target, { v: 3 }));
  });

  test("is of the time that it says only where the operator allows that", async () => {
    const { anna, base, homeserver } = await inRoom();
    const refused = await anna.ask("PUT", `${base}/send/m.room.message/1?ts=1000`, { msgtype: "m.text", body: "old" });
    expect(outcome(refused)).toEqual([403, "M_FORBIDDEN"]);
    expect(homeserver.seen("PUT", /\/send\//)).toEqual([]);
    const allowed = await inRoom({}, {}, [...ACTIONS, "timestamp"]);
    const put = (target: string) => allowed.anna.ask("PUT", `${allowed.base}/${target}`, { body: "old" });
    expect((await put("send/m.room.message/1?ts=1000")).status).toBe(200);
    expect((await put("state/com.example.x/k?ts=2000")).status).toBe(200);
    const times = allowed.homeserver.seen("PUT", /\/(send|state)\//).map(({ query }) => query.getAll("ts"));
    expect(times).toEqual([["1000"], ["2000"]]);
    for (const ts of ["", "-1", "1e3", "now", "1&ts=2"]) {
      expect(outcome(await put(`send/m.room.message/2?ts=${ts}`))).toEqual([400, "M_INVALID_PARAM"]);
    }
    expect((await put("redact/$e/1?ts=1000")).status).toBeGreaterThanOrEqual(400);
  });
});

describe("what passes", () => {
  test("typing, receipts and read markers of personas are the pseudouser's", async () => {
    const { anna, room, base, homeserver } = await inRoom();
    const said = homeserver.say(room, CREATOR, "read me").event_id;
    await anna.ask("PUT", `${base}/typing/${encodeURIComponent(ANNA)}`, { typing: true, timeout: 5_000 });
    expect(homeserver.requests.at(-1)).toMatchObject({ body: { typing: true, timeout: 5_000 } });
    expect(homeserver.requests.at(-1)!.path).toContain(`/typing/${encodeURIComponent(PSEUDOUSER)}`);
    await anna.ask("POST", `${base}/receipt/m.read/${encodeURIComponent(said)}`, {});
    await anna.ask("POST", `${base}/read_markers`, { "m.fully_read": said, "m.read": said });
    const [receipt, markers] = homeserver.requests.slice(-2);
    expect(receipt!.path).toContain("/receipt/m.read/");
    expect(markers).toMatchObject({ method: "POST", body: { "m.fully_read": said, "m.read": said } });
    for (const { query } of [receipt!, markers!]) expect(query.getAll("user_id")).toEqual([PSEUDOUSER]);
  });

  test("presence of personas goes nowhere; others' is asked of the homeserver", async () => {
    const { one, anna, homeserver } = await scene();
    const at = (user: string): string => `/presence/${encodeURIComponent(user)}/status`;
    const before = homeserver.requests.length;
    expect((await anna.ask("PUT", at(ANNA), { presence: "online" })).body).toEqual({});
    expect((await anna.ask("GET", at(ANNA))).body).toEqual({ presence: "offline" });
    expect(homeserver.requests.slice(before)).toEqual([]);
    expect((await anna.ask("GET", at("@alice:hs.test"))).body).toEqual({ presence: "online" });
    for (const user of [PSEUDOUSER, TWOS, `@alice:${SERVER}`]) {
      expect(outcome(await one.ask("PUT", at(user), { presence: "online" }))).toEqual([403, "M_FORBIDDEN"]);
    }
  });
});

test.each([TWOS, PSEUDOUSER, `@_emissary_two:${SERVER}`, `@alice:${SERVER}`, "@_one_x:elsewhere.test", "x", ""])(
  "%j is nobody that the tenant can act as",
  async (user) => {
    const { one, room, base, homeserver } = await inRoom();
    const stranger = one.as(user);
    const before = homeserver.requests.length;
    for (const answer of [
      await stranger.ask("GET", "/account/whoami"),
      await stranger.join(room.id),
      await stranger.leave(room.id),
      await stranger.send(room.id, { msgtype: "m.text", body: "x" }),
      await stranger.ask("PUT", `${base}/typing/${encodeURIComponent(user)}`, { typing: true }),
      ...(user === ""
        ? []
        : [await stranger.ask("PUT", `/profile/${encodeURIComponent(user)}/displayname`, { displayname: "x" })]),
    ]) {
      expect(outcome(answer)).toEqual([403, "M_FORBIDDEN"]);
    }
    expect(homeserver.requests.slice(before)).toEqual([]);
  },
);

test("two tenants with personas of their own share a room and see nothing of each other's", async () => {
  const { service, anna, two, room, base } = await inRoom();
  const zoe = two.as(TWOS);
  await zoe.join(room.id);
  await zoe.ask("PUT", `/profile/${encodeURIComponent(TWOS)}/displayname`, { displayname: "Zoe" });
  const annas = eventIdOf(await anna.send(room.id, { msgtype: "m.text", body: "from one" }));
  const zoes = eventIdOf(await zoe.send(room.id, { msgtype: "m.text", body: "from two" }));
  expect(room.event(annas)!.content).toMatchObject({ [OWNER]: "one", [PERSONA]: ANNA });
  expect(room.event(zoes)!.content).toMatchObject({ [OWNER]: "two", [PERSONA]: TWOS });
  await zoe.leave(room.id);
  expect(outcome(await zoe.ask("GET", `${base}/joined_members`))).toEqual([403, "M_FORBIDDEN"]);
  expect(await service.room(room.id)).toMatchObject({ phase: "present", leases: [{ holder: "tenant:one" }] });
  expect(await anna.joinedRooms()).toEqual([room.id]);
});
