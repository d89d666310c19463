/** A name is never a right: aliases that move, names that rooms claim, and routes that are denied, on every surface. */
import path from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { isJsonObject, stringAt } from "../../src/model/json.ts";
import {
  ADMIN_TOKEN,
  eventually,
  fakeHomeserver,
  HastyClock,
  PSEUDOUSER,
  startService,
  temporaryFolder,
  type Answer,
  type Service,
} from "../support/service-app.ts";
import { configFor, emissary, type Outcome } from "../unit/cli/terminal.ts";

const COMM = "#comm:evil.test";
const OPS = "#ops:hs.test";
const CREATOR = "@creator:elsewhere.test";

/** Time that a test lets pass, so that what a directory said is no longer gone by. */
class LeapingClock extends HastyClock {
  #leapt = 0;

  leap(ms: number): void {
    this.#leapt += ms;
  }

  override now(): number {
    return super.now() + this.#leapt;
  }
}
const SIX_MINUTES = 6 * 60_000;

function refusal({ status, body }: Answer): unknown[] {
  return [status, body["errcode"], body["org.matrix.msc1777.reason"]];
}

function allow(service: Service, rooms: readonly string[], actions: readonly string[], id = "a"): Promise<Answer> {
  return service.admin("POST", `/tenants/${id}/grants`, { rooms, actions });
}

function rule(service: Service, kind: string, entity: string, verdict: string): Promise<Answer> {
  return service.admin("POST", "/policy/rules", { kind, entity, verdict, reason: "a-private-reason" });
}

async function operator(service: Service, ...args: string[]): Promise<Outcome> {
  return emissary([...args, "--config", configFor(service.app.ports.admin, ADMIN_TOKEN)]);
}

function lookUps(service: Service, alias: string): number {
  return service.homeserver
    .seen("GET", /\/directory\/room\//)
    .filter(({ path: asked }) => asked.endsWith(encodeURIComponent(alias))).length;
}

/** A private room in which the pseudouser is for another tenant. */
async function privateRoom(service: Service, id = "b"): Promise<string> {
  const room = service.homeserver.makeRoom({ joinRule: "invite" });
  service.homeserver.setMembership(room, PSEUDOUSER, "invite", CREATOR);
  const other = await service.tenant(id);
  await service.admin("POST", `/tenants/${id}/grants`, { rooms: [room.id], actions: ["read", "send"] });
  expect((await other.join(room.id)).status).toBe(200);
  return room.id;
}

test("an alias that was granted and then pointed to another tenant's private room is refused until the operator confirms", async () => {
  const sqlite = path.join(temporaryFolder(), "emissary.db");
  const service = await startService({ sqlite });
  const { homeserver } = service;
  const open = homeserver.makeRoom({ alias: COMM });
  const tenant = await service.tenant("a", ["create"]);
  expect((await allow(service, [COMM], ["read", "state"])).body["grants"]).toMatchObject([
    {},
    { rooms: [COMM], stands_for: [{ alias: COMM, room_id: open.id, moved_to: null }] },
  ]);
  expect((await tenant.join(COMM)).status).toBe(200);
  const secret = await privateRoom(service);

  homeserver.aliases.set(COMM, secret);
  const refused = await tenant.join(COMM);
  expect(refusal(refused)).toEqual([403, "M_FORBIDDEN", "not-allowed"]);
  expect(refused.body["error"]).toContain("its alias points elsewhere than when it was granted");
  const state = `/rooms/${encodeURIComponent(secret)}/state`;
  expect(refusal(await tenant.ask("GET", state))[0]).toBe(403);
  // What was granted stays granted.
  expect((await tenant.ask("GET", `/rooms/${encodeURIComponent(open.id)}/state`)).status).toBe(200);
  await service.app.stop();

  const again = await startService({ homeserver, sqlite });
  const shown = await operator(again, "tenant", "show", "a");
  expect(shown.stdout).toContain(`${COMM} stands for ${open.id}, and was found to point to ${secret} at `);
  expect(shown.stdout).toContain(`emissary tenant allow a --room '${COMM}' --action read,state confirms`);
  const confirmed = await operator(again, "tenant", "allow", "a", "--room", COMM, "--action", "read,state");
  expect(confirmed.stdout).toContain(`${COMM} stands for ${secret}\n`);
  expect((await tenant.at(again).join(COMM)).status).toBe(200);
  expect((await tenant.at(again).ask("GET", state)).status).toBe(200);
  // By its ID, the room that it stood for is covered no more.
  expect(refusal(await tenant.at(again).ask("GET", `/rooms/${encodeURIComponent(open.id)}/state`))[0]).toBe(403);
  const { entries } = (await again.admin("GET", "/audit")).body;
  const actions = (Array.isArray(entries) ? entries.filter(isJsonObject) : []).map(
    (entry) => `${stringAt(entry, "action") ?? ""} ${stringAt(entry, "outcome") ?? ""}`,
  );
  expect(actions).toEqual(expect.arrayContaining(["tenant.confirm done", "lease.take not-allowed"]));
});

test("grants and exceptions by alias of a database from before their rooms were noted count for none until confirmed", async () => {
  const homeserver = await fakeHomeserver();
  const sqlite = path.join(temporaryFolder(), "emissary.db");
  const room = homeserver.makeRoom({ alias: COMM });
  const first = await startService({ homeserver, sqlite });
  const tenant = await first.tenant("a", ["create"]);
  const grant = { rooms: [COMM], actions: ["read"] };
  await first.admin("POST", "/tenants/a/grants", { ...grant, only: true });
  await rule(first, "room", COMM, "allow");
  await first.app.stop();
  // As a migration finds it.
  const db = new Database(sqlite);
  db.exec("DELETE FROM grant_pins; DELETE FROM alias_pins");
  db.close();

  const second = await startService({ homeserver, sqlite });
  expect(second.log.events("warn")).toEqual(
    expect.arrayContaining(["tenant.grant-unpinned", "policy.exception-unpinned"]),
  );
  expect(refusal(await tenant.at(second).join(COMM))).toEqual([403, "M_FORBIDDEN", "not-allowed"]);
  expect((await operator(second, "tenant", "show", "a")).stdout).toContain(`${COMM} stands for no room`);
  expect((await operator(second, "policy", "show")).stdout).toContain(`${COMM} counts for no room`);
  await second.admin("POST", "/tenants/a/grants", grant);
  expect((await rule(second, "room", COMM, "allow")).body).toEqual({ outcome: "changed", stands_for: room.id });
  expect((await tenant.at(second).join(COMM)).status).toBe(200);
});

test("a grant by alias covers no room that only calls itself so, nor one that another alias leads to", async () => {
  const service = await startService();
  const { homeserver } = service;
  homeserver.makeRoom({ alias: COMM });
  const tenant = await service.tenant("a", ["create"]);
  await service.admin("POST", "/tenants/a/grants", { rooms: [COMM], actions: ["read"], only: true });
  const hostile = homeserver.makeRoom({ alias: "#other:evil.test" });
  homeserver.send(hostile, CREATOR, "m.room.canonical_alias", { alias: COMM }, "");
  for (const name of [hostile.id, "#other:evil.test"]) {
    expect(refusal(await tenant.join(name))).toEqual([403, "M_FORBIDDEN", "not-allowed"]);
  }
});

test("a glob of aliases opens public rooms only, lends no other tenant's power, and counts while the alias points there", async () => {
  const clock = new LeapingClock();
  const service = await startService({ clock });
  const { homeserver } = service;
  const tenant = await service.tenant("a", ["create"]);
  await allow(service, ["#game*:evil.test"], ["read", "state"]);
  const game = homeserver.makeRoom({ alias: "#game1:evil.test" });
  expect((await tenant.join("#game1:evil.test")).status).toBe(200);
  await service.untilRoom(game.id, { load: "loaded" });
  const topic = `/rooms/${encodeURIComponent(game.id)}/state/com.example.topic/`;
  expect((await tenant.ask("PUT", topic, { topic: "mine" })).status).toBe(200);

  const secret = await privateRoom(service);
  homeserver.aliases.set("#game2:evil.test", secret);
  expect(refusal(await tenant.join("#game2:evil.test"))).toEqual([403, "M_FORBIDDEN", "not-visible"]);
  // Also where the tenant is in the room by a grant that allows less.
  await allow(service, [secret], ["read"]);
  expect((await tenant.join("#game2:evil.test")).status).toBe(200);
  const theirs = `/rooms/${encodeURIComponent(secret)}/state/com.example.topic/`;
  expect(refusal(await tenant.ask("PUT", theirs, {}))).toEqual([403, "M_FORBIDDEN", "not-allowed"]);

  homeserver.aliases.set("#game1:evil.test", secret);
  clock.leap(SIX_MINUTES);
  expect(refusal(await tenant.ask("PUT", topic, {}))).toEqual([403, "M_FORBIDDEN", "not-allowed"]);
});

test("an alias that leads nowhere, or cannot be told, is not granted and not excepted, and the sentence says what to do", async () => {
  const service = await startService();
  await service.tenant("a", ["create"]);
  const nowhere = await allow(service, ["#nowhere:evil.test"], ["read"]);
  expect([nowhere.status, nowhere.body["error"]]).toEqual([404, expect.stringContaining("name the room by its ID")]);
  service.homeserver.fault(
    "GET",
    /directory\/room/,
    { status: 502, body: { errcode: "M_UNKNOWN", error: "silent" } },
    2,
  );
  for (const answer of [await allow(service, [COMM], ["read"]), await rule(service, "room", COMM, "allow")]) {
    expect([answer.status, answer.body["error"]]).toEqual([502, expect.stringContaining("name the room by its ID")]);
  }
  expect((await service.admin("GET", "/tenants/a")).body["grants"]).toHaveLength(1);
});

test("a room that calls itself by an excepted alias is not spared; the one that the directory says is", async () => {
  const clock = new LeapingClock();
  const service = await startService({ clock, settings: { policy: { denyServers: ["elsewhere.test"] } } });
  const { homeserver } = service;
  const [ours, hostile] = [homeserver.makeRoom({ alias: OPS }), homeserver.makeRoom()];
  expect((await rule(service, "room", OPS, "allow")).body).toEqual({ outcome: "added", stands_for: ours.id });
  homeserver.send(hostile, CREATOR, "m.room.canonical_alias", { alias: OPS }, "");
  const tenant = await service.tenant("a");
  expect(refusal(await tenant.join(hostile.id, "?via=good.test"))).toEqual([403, "M_FORBIDDEN", "denied"]);
  expect((await tenant.join(ours.id, "?via=good.test")).status).toBe(200);
  // Nor one that is entered, and says so then.
  expect(
    (await service.admin("POST", `/rooms/${encodeURIComponent(hostile.id)}/join`, { via: ["good.test"] })).status,
  ).toBe(200);
  await service.untilRoom(hostile.id, { load: "loaded", canonical_alias: OPS });
  expect(refusal(await tenant.join(hostile.id))).toEqual([403, "M_FORBIDDEN", "denied"]);

  // Once the alias is pointed elsewhere, it is an exception for neither; the operator sees why.
  homeserver.aliases.set(OPS, hostile.id);
  clock.leap(SIX_MINUTES);
  await rule(service, "user", "@anybody:else.test", "deny");
  await eventually("the lease's end", () => ours.membership(PSEUDOUSER) === "leave");
  expect(refusal(await tenant.join(hostile.id))).toEqual([403, "M_FORBIDDEN", "denied"]);
  const { body } = await service.admin("GET", "/policy");
  expect(JSON.stringify(body["rules"])).toContain(`"stands_for":"${ours.id}","moved":true,"moved_to":"${hostile.id}"`);
  const query = new URLSearchParams({ room: hostile.id, for: "tenant" });
  const explained = (await service.admin("GET", `/policy/explain?${query.toString()}`)).body;
  expect(JSON.stringify(explained["rules"])).toContain(`${OPS}: it was made for ${ours.id}`);
  expect((await rule(service, "room", OPS, "allow")).body).toEqual({ outcome: "changed", stands_for: hostile.id });
  expect((await tenant.join(hostile.id)).status).toBe(200);
});

test("an exception of the configuration's stands for the room that its alias led to first, after a restart too", async () => {
  const homeserver = await fakeHomeserver();
  const sqlite = path.join(temporaryFolder(), "emissary.db");
  const settings = { policy: { denyServers: ["elsewhere.test"], allowRooms: [OPS] } };
  const [ours, hostile] = [homeserver.makeRoom({ alias: OPS }), homeserver.makeRoom()];
  const first = await startService({ homeserver, sqlite, settings });
  const tenant = await first.tenant("a");
  expect((await tenant.join(ours.id, "?via=good.test")).status).toBe(200);
  await first.app.stop();
  homeserver.aliases.set(OPS, hostile.id);
  const second = await startService({ homeserver, sqlite, settings });
  expect(refusal(await tenant.at(second).join(OPS, "?via=good.test"))).toEqual([403, "M_FORBIDDEN", "denied"]);
  expect(second.log.events("warn")).toContain("policy.exception-moved");
});

test("a policy list goes on to be the room that its alias led to first", async () => {
  const homeserver = await fakeHomeserver();
  const [list, hostile] = [
    homeserver.makeRoom({ alias: "#bans:evil.test" }),
    homeserver.makeRoom({ joinRule: "invite" }),
  ];
  homeserver.send(list, CREATOR, "m.policy.rule.user", { entity: "@x:y.test", recommendation: "m.ban" }, "one");
  const sqlite = path.join(temporaryFolder(), "emissary.db");
  const settings = { policy: { lists: ["#bans:evil.test"] as never } };
  const first = await startService({ homeserver, sqlite, settings });
  await eventually("the list", () => list.membership(PSEUDOUSER) === "join");
  await first.app.stop();
  homeserver.aliases.set("#bans:evil.test", hostile.id);
  const second = await startService({ homeserver, sqlite, settings });
  await eventually("the change being told", () => second.log.events("warn").includes("policy-list.moved"));
  expect([list.membership(PSEUDOUSER), hostile.membership(PSEUDOUSER)]).toEqual(["join", null]);
  const { body } = await second.admin("GET", "/policy");
  expect(body["list_rooms"]).toMatchObject([{ room_id: list.id, alias: "#bans:evil.test", moved_to: hostile.id }]);
});

/** Every way in which somebody's wish can name routes; each with the holder that it is refused to. */
const SURFACES: readonly [what: string, ask: (service: Service, room: string, alias: string) => Promise<Answer>][] = [
  [
    "the operator's join",
    (service, room) => service.admin("POST", `/rooms/${encodeURIComponent(room)}/join`, { via: ["evil.test"] }),
  ],
  [
    "the operator's join by alias",
    (service, _room, alias) => service.admin("POST", `/rooms/${encodeURIComponent(alias)}/join`, {}),
  ],
  ["a tenant's join", async (service, room) => (await service.tenant("t")).join(room, "?via=evil.test")],
  ["a tenant's join by alias", async (service, _room, alias) => (await service.tenant("t")).join(alias)],
  [
    "a tenant's look-up",
    async (service, _room, alias) =>
      (await service.tenant("t")).ask("GET", `/directory/room/${encodeURIComponent(alias)}`),
  ],
  ["a tenant's search", async (service) => (await service.tenant("t")).ask("GET", "/publicRooms?server=evil.test")],
  [
    "a legacy peek",
    (service, room) =>
      service.gateway("GET", `/_matrix/client/v3/rooms/${encodeURIComponent(room)}/initialSync?via=evil.test`, {
        token: "token-of-alice",
      }),
  ],
  [
    "a peek of MSC2753",
    (service, room) =>
      service.gateway(
        "POST",
        `/_matrix/client/unstable/org.matrix.msc2753/peek/${encodeURIComponent(room)}?via=evil.test`,
        { token: "token-of-alice", body: {} },
      ),
  ],
  [
    "a peek of MSC2753 by alias",
    (service, _room, alias) =>
      service.gateway("POST", `/_matrix/client/unstable/org.matrix.msc2753/peek/${encodeURIComponent(alias)}`, {
        token: "token-of-alice",
        body: {},
      }),
  ],
];

test.each(SURFACES)(
  "only denied routes: %s is refused by policy, and the server is asked for nothing",
  async (_what, ask) => {
    const service = await startService();
    const hidden = { summary: false, alias: COMM, historyVisibility: "world_readable" } as const;
    // Of version 12: an older ID names a server of its own, which is asked as a last resort.
    const room = service.homeserver.makeRoom({ ...hidden, id: "!routes", version: "12" });
    await rule(service, "server", "evil.test", "deny");
    const answer = await ask(service, room.id, COMM);
    expect(refusal(answer)).toEqual([403, "M_FORBIDDEN", "denied"]);
    expect(lookUps(service, COMM)).toBe(0);
    const asked = service.homeserver.requests.filter(({ query }) =>
      [...query.getAll("via"), ...query.getAll("server_name"), ...query.getAll("server")].includes("evil.test"),
    );
    // A user's own read goes to the homeserver as it came; what we ask ourselves does not.
    expect(asked.filter(({ query }) => query.has("user_id"))).toEqual([]);
    expect(room.membership(PSEUDOUSER)).toBeNull();
  },
);

test("the operator is told the rule, with 3, by join and by explain; a route that is not denied is enough", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom({ summary: false });
  await rule(service, "server", "*.evil.test", "deny");
  const join = await operator(service, "rooms", "join", room.id, "--via", "x.evil.test");
  expect([join.exitCode, join.stderr]).toEqual([3, expect.stringContaining("rule *.evil.test: a-private-reason")]);
  const alias = await operator(service, "rooms", "join", "#a:x.evil.test");
  expect([alias.exitCode, alias.stderr]).toEqual([3, expect.stringContaining("rule *.evil.test")]);
  const explain = await operator(service, "policy", "explain", room.id, "--for", "operator", "--via", "x.evil.test");
  expect([explain.exitCode, explain.stdout]).toEqual([
    3,
    expect.stringContaining("refused (denied): the server x.evil.test is denied"),
  ]);
  const both = await operator(service, "rooms", "join", room.id, "--via", "x.evil.test", "--via", "good.test");
  expect(both.exitCode).toBe(0);
  expect(
    service.homeserver
      .seen("POST", /\/join\//)
      .at(-1)
      ?.query.getAll("via"),
  ).toEqual(["good.test"]);
});

test("a user who looks by an alias of a denied server is told no reason", async () => {
  const service = await startService();
  await rule(service, "server", "evil.test", "deny");
  const target = `/_matrix/client/unstable/org.matrix.msc2753/peek/${encodeURIComponent(COMM)}`;
  const answer = await service.gateway("POST", target, { token: "token-of-alice", body: {} });
  expect(refusal(answer)).toEqual([403, "M_FORBIDDEN", "denied"]);
  expect(answer.body["error"]).not.toMatch(/reason|rule|evil/);
});
