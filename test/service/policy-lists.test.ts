/**
 * Policy lists over HTTP: the pseudouser goes to their rooms, what they ban is refused, and what they take back is allowed again.
 */
import { createHash } from "node:crypto";
import path from "node:path";
import { expect, test } from "vitest";
import type { RoomAlias, RoomId } from "../../src/model/ids.ts";
import type { JsonObject } from "../../src/model/json.ts";
import type { FakeEvent, FakeRoom, RoomOptions } from "../support/fake-homeserver-rooms.ts";
import type { FakeHomeserver } from "../support/fake-homeserver.ts";
import {
  eventually,
  fakeHomeserver,
  PSEUDOUSER,
  startService,
  temporaryFolder,
  type Service,
  type ServiceOptions,
} from "../support/service-app.ts";

const MODERATOR = "@moderator:lists.test";
const VIA = "?via=elsewhere.test";

function makeList(homeserver: FakeHomeserver, options: RoomOptions = {}): FakeRoom {
  return homeserver.makeRoom({ creator: MODERATOR, ...options });
}

/** The list says something, which reaches us where we are in its room. */
function says(homeserver: FakeHomeserver, list: FakeRoom, kind: string, named: JsonObject, key = "rule"): FakeEvent {
  const content = { recommendation: "m.ban", reason: "spam", ...named };
  return homeserver.send(list, MODERATOR, `m.policy.rule.${kind}`, content, key);
}

function goingBy(homeserver: FakeHomeserver, lists: readonly string[], more: ServiceOptions = {}): Promise<Service> {
  return startService({ ...more, homeserver, settings: { policy: { lists: lists as (RoomId | RoomAlias)[] } } });
}

/** The rules in the database, by their list. */
function rulesOf(service: Service, list: FakeRoom): string[] {
  const sql = "SELECT kind, entity FROM policy_rules WHERE source = ? ORDER BY kind, entity";
  return service.query<{ kind: string; entity: string }>(sql, list.id).map(({ kind, entity }) => `${kind} ${entity}`);
}

function untilRules(service: Service, list: FakeRoom, wanted: readonly string[]): Promise<unknown> {
  return eventually(`the rules ${wanted.join(", ")}`, () => rulesOf(service, list).join() === wanted.join());
}

async function tryIn(service: Service, room: FakeRoom): Promise<unknown> {
  const tenant = await service.tenant(`t${room.id.replace(/\W/g, "").toLowerCase()}${performance.now().toFixed(0)}`);
  const { status, body } = await tenant.join(room.id, VIA);
  return status === 200 ? "allowed" : body["org.matrix.msc1777.reason"];
}

test("what a list bans is refused, by name, glob and hash; everything else is not", async () => {
  const homeserver = await fakeHomeserver();
  const list = makeList(homeserver);
  const [byName, byHash, fine] = [homeserver.makeRoom(), homeserver.makeRoom(), homeserver.makeRoom()] as const;
  const ofServer = homeserver.makeRoom({ id: "!room:deep.evil.test" });
  const sha256 = createHash("sha256").update(byHash.id).digest("base64");
  says(homeserver, list, "room", { entity: byName.id }, "1");
  says(homeserver, list, "room", { hashes: { sha256 }, recommendation: "m.takedown" }, "2");
  says(homeserver, list, "server", { entity: "*.evil.test" }, "3");
  says(homeserver, list, "server", { entity: 7 }, "4");
  const service = await goingBy(homeserver, [list.id]);
  await eventually("three rules", () => rulesOf(service, list).length === 3);
  expect(list.membership(PSEUDOUSER)).toBe("join");
  expect(await tryIn(service, byName)).toBe("listed");
  expect(await tryIn(service, byHash)).toBe("listed");
  expect(await tryIn(service, ofServer)).toBe("listed");
  expect(await tryIn(service, fine)).toBe("allowed");
});

test("a rule that the list changes, adds or takes back counts soon", async () => {
  const homeserver = await fakeHomeserver();
  const list = makeList(homeserver);
  const [one, other] = [homeserver.makeRoom(), homeserver.makeRoom()];
  says(homeserver, list, "room", { entity: one.id });
  const service = await goingBy(homeserver, [list.id]);
  await untilRules(service, list, [`room ${one.id}`]);
  expect(await tryIn(service, one)).toBe("listed");
  expect(await tryIn(service, other)).toBe("allowed");

  const changed = says(homeserver, list, "room", { entity: other.id });
  await untilRules(service, list, [`room ${other.id}`]);
  expect(await tryIn(service, one)).toBe("allowed");
  expect(await tryIn(service, other)).toBe("listed");

  homeserver.sender.push(list.redact(changed.event_id, MODERATOR, {}));
  await untilRules(service, list, []);
  expect(await tryIn(service, other)).toBe("allowed");
});

test("many changes at once are few readings", async () => {
  const homeserver = await fakeHomeserver();
  const list = makeList(homeserver);
  const service = await goingBy(homeserver, [list.id]);
  await eventually("the pseudouser there", () => list.membership(PSEUDOUSER) === "join");
  for (let n = 0; n < 300; n += 1) says(homeserver, list, "user", { entity: `@spammer${n}:x.test` }, `${n}`);
  await eventually("all of them", () => rulesOf(service, list).length === 300);
  // One of them fills the ledger.
  expect(homeserver.seen("GET", /\/state$/).length).toBeLessThan(8);
});

test("a list's rules hold before it is read: after a restart too, with the homeserver away", async () => {
  const homeserver = await fakeHomeserver();
  const sqlite = path.join(temporaryFolder(), "emissary.db");
  const list = makeList(homeserver, { alias: "#list:lists.test" });
  const room = homeserver.makeRoom();
  says(homeserver, list, "room", { entity: room.id });
  const first = await goingBy(homeserver, ["#list:lists.test"], { sqlite });
  await untilRules(first, list, [`room ${room.id}`]);
  await first.app.stop();

  await homeserver.shut();
  const second = await goingBy(homeserver, ["#list:lists.test"], { sqlite, untilReady: false });
  expect(rulesOf(second, list)).toEqual([`room ${room.id}`]);
  await homeserver.listen();
  await second.app.ready;
  expect(await tryIn(second, room)).toBe("listed");
});

test("a list that is configured no more is forgotten and left, after a restart before anything is judged", async () => {
  const homeserver = await fakeHomeserver();
  const sqlite = path.join(temporaryFolder(), "emissary.db");
  const [kept, dropped] = [makeList(homeserver), makeList(homeserver)];
  says(homeserver, kept, "user", { entity: "@kept:x.test" });
  says(homeserver, dropped, "user", { entity: "@dropped:x.test" });
  const first = await goingBy(homeserver, [kept.id, dropped.id], { sqlite });
  await untilRules(first, kept, ["user @kept:x.test"]);
  await untilRules(first, dropped, ["user @dropped:x.test"]);
  await first.app.stop();

  await homeserver.shut();
  const second = await goingBy(homeserver, [kept.id], { sqlite, untilReady: false });
  expect(rulesOf(second, dropped)).toEqual([]);
  expect(rulesOf(second, kept)).toEqual(["user @kept:x.test"]);
  await homeserver.listen();
  await second.app.ready;
  await eventually("the room being left", () => dropped.membership(PSEUDOUSER) === "leave");
  expect(kept.membership(PSEUDOUSER)).toBe("join");
});

test("SIGHUP brings lists and takes them away", async () => {
  const homeserver = await fakeHomeserver();
  const [one, other] = [makeList(homeserver), makeList(homeserver)];
  says(homeserver, one, "user", { entity: "@one:x.test" });
  says(homeserver, other, "user", { entity: "@other:x.test" });
  const service = await goingBy(homeserver, []);
  const reload = (...lists: FakeRoom[]): readonly string[] => {
    const policy = { ...service.config.policy, lists: lists.map(({ id }) => id as RoomId) };
    return service.app.reload({ ...service.config, policy }).applied;
  };
  expect(reload(one)).toEqual(["policy.lists"]);
  await untilRules(service, one, ["user @one:x.test"]);
  reload(other);
  await untilRules(service, one, []);
  await untilRules(service, other, ["user @other:x.test"]);
  await eventually("the room being left", () => one.membership(PSEUDOUSER) === "leave");
  reload();
  await untilRules(service, other, []);
  await eventually("the other being left", () => other.membership(PSEUDOUSER) === "leave");
});

test("a list that cannot be read keeps its rules, which is told once, and is read when it can be", async () => {
  const homeserver = await fakeHomeserver();
  const list = makeList(homeserver);
  says(homeserver, list, "user", { entity: "@one:x.test" });
  const service = await goingBy(homeserver, [list.id]);
  await untilRules(service, list, ["user @one:x.test"]);
  const mend = homeserver.fault("GET", /\/state$/, { status: 500, body: { errcode: "M_UNKNOWN" } }, 1_000);
  says(homeserver, list, "user", { entity: "@other:x.test" });
  const told = (): number => service.log.entries.filter(({ event }) => event === "policy-list.unread").length;
  await eventually("two tries", () => told() >= 2);
  expect(service.log.events("warn").filter((event) => event === "policy-list.unread")).toHaveLength(1);
  expect(rulesOf(service, list)).toEqual(["user @one:x.test"]);
  mend();
  await untilRules(service, list, ["user @other:x.test"]);
});

test("an alias that leads nowhere yet is asked for until it does", async () => {
  const homeserver = await fakeHomeserver();
  const service = await goingBy(homeserver, ["#list:lists.test"]);
  await eventually("the alias being missed", () => service.log.events("warn").includes("policy-list.unresolved"));
  const list = makeList(homeserver, { alias: "#list:lists.test" });
  says(homeserver, list, "user", { entity: "@one:x.test" });
  await untilRules(service, list, ["user @one:x.test"]);
});

test("a list that moves to another room is followed; the old rules hold until the new ones are known", async () => {
  const homeserver = await fakeHomeserver();
  const old = makeList(homeserver);
  const next = makeList(homeserver, { predecessor: old });
  says(homeserver, old, "user", { entity: "@old:x.test" });
  says(homeserver, next, "user", { entity: "@new:x.test" });
  const service = await goingBy(homeserver, [old.id]);
  await untilRules(service, old, ["user @old:x.test"]);
  homeserver.send(old, MODERATOR, "m.room.tombstone", { body: "moved", replacement_room: next.id }, "");
  await untilRules(service, next, ["user @new:x.test"]);
  await untilRules(service, old, []);
  await eventually("the old room being left", () => old.membership(PSEUDOUSER) === "leave");
});

test("a list that puts the pseudouser out keeps its rules; nobody asks to come back at once", async () => {
  const homeserver = await fakeHomeserver();
  const list = makeList(homeserver);
  says(homeserver, list, "user", { entity: "@one:x.test" });
  const service = await goingBy(homeserver, [list.id]);
  await untilRules(service, list, ["user @one:x.test"]);
  const joins = homeserver.seen("POST", /\/join\//).length;
  homeserver.setMembership(list, PSEUDOUSER, "leave", MODERATOR);
  await service.untilRoom(list.id, { own_membership: "leave" });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(homeserver.seen("POST", /\/join\//)).toHaveLength(joins);
  expect(rulesOf(service, list)).toEqual(["user @one:x.test"]);
});

test("a server that is denied is not asked for a room any more, though it is known to lead there", async () => {
  const homeserver = await fakeHomeserver();
  const list = makeList(homeserver);
  const room = homeserver.makeRoom();
  const service = await goingBy(homeserver, [list.id]);
  const tenant = await service.tenant("one");
  const routes = (): unknown =>
    homeserver
      .seen("POST", /\/join\//)
      .at(-1)
      ?.query.getAll("via");
  await tenant.join(room.id, "?via=evil.test&via=elsewhere.test");
  expect(routes()).toEqual(["evil.test", "elsewhere.test"]);
  await tenant.leave(room.id);
  await service.untilRoom(room.id, { own_membership: "leave" });
  says(homeserver, list, "server", { entity: "evil.test" });
  await untilRules(service, list, ["server evil.test"]);
  await tenant.join(room.id, "?via=elsewhere.test");
  expect(routes()).toEqual(["elsewhere.test"]);
});
