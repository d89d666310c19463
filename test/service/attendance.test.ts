/**
 * Attendance over HTTP: leases are wishes, the homeserver decides, and what it decided reaches whoever wished.
 */
import { expect, test } from "vitest";
import type { FakeHomeserver } from "../support/fake-homeserver.ts";
import {
  eventually,
  gate,
  PSEUDOUSER,
  startService,
  type Answer,
  type Service,
  type TenantClient,
} from "../support/service-app.ts";

const REASON = "org.matrix.msc1777.reason";
const CREATOR = "@creator:elsewhere.test";
const JOIN = /\/join\//;

function refusal({ status, body }: Answer): unknown[] {
  return [status, body["errcode"], body[REASON]];
}

function joins(homeserver: FakeHomeserver): number {
  return homeserver.seen("POST", JOIN).length;
}

async function tenants(service: Service, ...ids: readonly string[]): Promise<TenantClient[]> {
  const made: TenantClient[] = [];
  for (const id of ids) made.push(await service.tenant(id));
  return made;
}

test("a join by ID or by alias answers with the room's ID once the pseudouser is in it", async () => {
  const service = await startService();
  const [one] = await tenants(service, "one");
  const byId = service.homeserver.makeRoom({ id: "!v12-without-a-server", version: "12" });
  const byAlias = service.homeserver.makeRoom({ alias: "#room:elsewhere.test" });
  const first = await one!.join(byId.id, "?via=elsewhere.test&server_name=other.test");
  expect([first.status, first.body]).toEqual([200, { room_id: byId.id }]);
  const second = await one!.join("#room:elsewhere.test");
  expect([second.status, second.body]).toEqual([200, { room_id: byAlias.id }]);
  expect([byId, byAlias].map((room) => room.users("join"))).toEqual([
    [PSEUDOUSER, CREATOR],
    [PSEUDOUSER, CREATOR],
  ]);
  expect(await one!.joinedRooms()).toEqual([byId.id, byAlias.id].sort());
  const [asked, askedForAlias] = service.homeserver.seen("POST", JOIN);
  expect(asked!.query.getAll("via")).toEqual(["elsewhere.test", "other.test"]);
  expect(asked!.query.getAll("server_name")).toEqual(["elsewhere.test", "other.test"]);
  expect(askedForAlias!.query.getAll("via")).toEqual(["elsewhere.test"]);
});

test("joins that name no room are answered so", async () => {
  const service = await startService();
  const [one] = await tenants(service, "one");
  expect((await one!.join("#nowhere:elsewhere.test")).status).toBe(404);
  expect((await one!.join("nonsense")).status).toBe(400);
  expect((await one!.ask("POST", "/rooms/nonsense/join", {})).status).toBe(400);
  expect(joins(service.homeserver)).toBe(0);
});

test("fifty joins of one room at once cause one join", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const slow = gate();
  service.homeserver.fault("POST", JOIN, { waitFor: slow.opened });
  const all = await tenants(service, ...Array.from({ length: 10 }, (_, n) => `t${n}`));
  const asked = all.flatMap((tenant) => Array.from({ length: 5 }, () => tenant.join(room.id)));
  await eventually("the join", () => joins(service.homeserver) > 0);
  slow.open();
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(Array.from({ length: 50 }, () => 200));
  expect(joins(service.homeserver)).toBe(1);
});

test("a limited join waits as long as the homeserver says, and then succeeds", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const [one] = await tenants(service, "one");
  // In the service's hasty time; on the wire at least a twentieth of it lies between.
  const retry_after_ms = 16_000;
  service.homeserver.fault("POST", JOIN, { status: 429, body: { errcode: "M_LIMIT_EXCEEDED", retry_after_ms } });
  expect((await one!.join(room.id)).status).toBe(200);
  const [first, second] = service.homeserver.seen("POST", JOIN);
  expect(second!.at - first!.at).toBeGreaterThan(retry_after_ms / 20 - 20);
});

test.each([
  ["an error inside", { status: 500, body: { errcode: "M_UNKNOWN", error: "Internal server error" } }],
  ["a proxy's error", { status: 502, body: {} }],
  ["a connection that ends", "close" as const],
  ["nonsense with status 503", { text: "<html>", status: 503 }],
  ["a token not known for the moment", { status: 401, body: { errcode: "M_UNKNOWN_TOKEN" } }],
])("a join that meets %s is tried again", async (_what, fault) => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const [one] = await tenants(service, "one");
  service.homeserver.fault("POST", JOIN, fault, 2);
  expect((await one!.join(room.id)).status).toBe(200);
  expect(joins(service.homeserver)).toBe(3);
});

test("a join that takes longer than it may is broken off and tried again", async () => {
  const service = await startService({ settings: { attendance: { joinTimeout: 5_000 } } });
  const room = service.homeserver.makeRoom();
  const [one] = await tenants(service, "one");
  service.homeserver.fault("POST", JOIN, "hang");
  expect((await one!.join(room.id)).status).toBe(200);
  const [first] = service.homeserver.seen("POST", JOIN);
  expect(first!.aborted).toBe(true);
});

test("a caller that gives up leaves its lease behind; the join goes on", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const [one] = await tenants(service, "one");
  const slow = gate();
  service.homeserver.fault("POST", JOIN, { waitFor: slow.opened });
  const { connect } = await import("node:net");
  const socket = connect(service.app.ports.gateway, "127.0.0.1");
  const target = `/_matrix/client/v3/join/${encodeURIComponent(room.id)}`;
  socket.write(
    `POST ${target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${one!.token}\r\ncontent-length: 0\r\n\r\n`,
  );
  await eventually("the join", () => joins(service.homeserver) === 1);
  socket.destroy();
  slow.open();
  await service.untilRoom(room.id, { phase: "present" });
  expect(await one!.joinedRooms()).toEqual([room.id]);
});

test("a join that the homeserver refuses answers 403 with its reason, and the lease has ended", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const [one] = await tenants(service, "one");
  room.append("m.room.member", CREATOR, { membership: "ban" }, PSEUDOUSER);
  const answer = await one!.join(room.id);
  expect(refusal(answer)).toEqual([403, "M_FORBIDDEN", "M_FORBIDDEN"]);
  expect(answer.body["error"]).toBe("The homeserver refuses this (M_FORBIDDEN).");
  expect(await service.room(room.id)).toMatchObject({ phase: "refused", leases: [], code: "M_FORBIDDEN" });
  expect(joins(service.homeserver)).toBe(1);
  room.append("m.room.member", CREATOR, { membership: "leave" }, PSEUDOUSER);
  expect((await one!.join(room.id)).status).toBe(200);
});

test.each([
  ["kicked", "leave"],
  ["banned", "ban"],
])("a pseudouser that is %s does not come back by itself, and the tenant is told", async (word, membership) => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const [one, two] = await tenants(service, "one", "two");
  for (const tenant of [one!, two!]) await tenant.join(room.id);
  service.homeserver.setMembership(room, PSEUDOUSER, membership, CREATOR);
  await service.untilRoom(room.id, { own_membership: membership });
  for (const tenant of [one!, two!]) {
    expect(refusal(await tenant.send(room.id, { body: "x" }))).toEqual([403, "M_FORBIDDEN", word]);
    expect(await tenant.joinedRooms()).toEqual([]);
  }
  expect((await service.room(room.id))["leases"]).toEqual([]);
  expect(joins(service.homeserver)).toBe(1);
  expect(refusal(await one!.join(room.id))).toEqual([403, "M_FORBIDDEN", "put-out"]);
  expect(joins(service.homeserver)).toBe(1);
});

test("an upgrade moves the leases, and with them the pseudouser, to the new room", async () => {
  const service = await startService();
  const { homeserver } = service;
  const old = homeserver.makeRoom();
  const replacement = homeserver.makeRoom({ id: "!new-of-version-12", version: "12", predecessor: old });
  const [one, two] = await tenants(service, "one", "two");
  for (const tenant of [one!, two!]) await tenant.join(old.id);
  homeserver.send(old, CREATOR, "m.room.tombstone", { replacement_room: replacement.id }, "");
  await service.untilRoom(old.id, { phase: "absent" });
  for (const tenant of [one!, two!]) {
    expect(await tenant.joinedRooms()).toEqual([replacement.id]);
    expect((await tenant.send(replacement.id, { body: "here" })).status).toBe(200);
    expect(refusal(await tenant.send(old.id, { body: "there" }))).toEqual([403, "M_FORBIDDEN", "upgraded"]);
  }
  expect(homeserver.seen("POST", JOIN).at(-1)!.query.getAll("via")).toContain("elsewhere.test");
  await service.untilRoom(old.id, { phase: "absent" });
  expect(old.membership(PSEUDOUSER)).toBe("leave");
});

test("a tombstone that points to a room that policy refuses leads nowhere", async () => {
  const service = await startService();
  const { homeserver } = service;
  const old = homeserver.makeRoom();
  const secret = homeserver.makeRoom({ joinRule: "invite", predecessor: old });
  const [one] = await tenants(service, "one");
  await one!.join(old.id);
  homeserver.send(old, CREATOR, "m.room.tombstone", { replacement_room: secret.id }, "");
  await eventually("the refusal", () => service.log.events("info").includes("upgrade.not-reached"));
  expect(secret.membership(PSEUDOUSER)).toBe(null);
  expect(await one!.joinedRooms()).toEqual([old.id]);
});

test("when the last lease is given back, the pseudouser lingers and then leaves", async () => {
  const service = await startService({ settings: { attendance: { linger: 8_000 } } });
  const room = service.homeserver.makeRoom();
  const [one, two] = await tenants(service, "one", "two");
  for (const tenant of [one!, two!]) await tenant.join(room.id);
  await one!.leave(room.id);
  expect(refusal(await one!.send(room.id, { body: "x" }))).toEqual([403, "M_FORBIDDEN", "released"]);
  expect((await two!.send(room.id, { body: "still here" })).status).toBe(200);
  await two!.leave(room.id);
  expect(room.membership(PSEUDOUSER)).toBe("join");
  await service.untilRoom(room.id, { phase: "absent", load: "none" });
  expect(room.membership(PSEUDOUSER)).toBe("leave");
  expect(service.query("SELECT user_id FROM members WHERE membership = 'join'")).toEqual([]);
});

test("a lease taken while the pseudouser lingers keeps it in the room without another join", async () => {
  const service = await startService({ settings: { attendance: { linger: 20_000 } } });
  const room = service.homeserver.makeRoom();
  const [one] = await tenants(service, "one");
  for (let round = 0; round < 3; round += 1) {
    expect((await one!.join(room.id)).status).toBe(200);
    if (round < 2) await one!.leave(room.id);
  }
  await service.untilRoom(room.id, { phase: "present" });
  expect(joins(service.homeserver)).toBe(1);
  expect(service.homeserver.seen("POST", /\/leave$/)).toEqual([]);
});

test("a tenant that is removed leaves with its leases", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const [one] = await tenants(service, "one");
  await one!.join(room.id);
  expect((await service.admin("DELETE", "/tenants/one")).body).toEqual({ removed: true, leases_ended: 1 });
  await service.untilRoom(room.id, { phase: "absent" });
  expect(room.membership(PSEUDOUSER)).toBe("leave");
});

test("policy refuses rooms that are private, unknown or too large, and says why", async () => {
  const service = await startService({ settings: { policy: { maxMembers: 10 } } });
  const { homeserver } = service;
  const [one] = await tenants(service, "one");
  const refused: [string, string][] = [
    [homeserver.makeRoom({ joinRule: "invite" }).id, "not-visible"],
    [homeserver.makeRoom({ joinRule: "knock" }).id, "join-rule"],
    [homeserver.makeRoom({ joinRule: "restricted" }).id, "not-visible"],
    [homeserver.makeRoom({ summary: false }).id, "not-visible"],
    ["!unknown:elsewhere.test", "not-visible"],
    [homeserver.makeRoom({ summaryMembers: 11 }).id, "member-cap"],
  ];
  for (const [roomId, reason] of refused) {
    expect([roomId, ...refusal(await one!.join(roomId))]).toEqual([roomId, 403, "M_FORBIDDEN", reason]);
  }
  expect((await one!.join(homeserver.makeRoom({ summaryMembers: 10 }).id)).status).toBe(200);
  expect(joins(homeserver)).toBe(1);
  const { body } = await service.admin("GET", "/audit");
  expect(JSON.stringify(body)).toContain("member-cap");
});

test("no more rooms are entered than policy.max_rooms, also when the joins come all at once", async () => {
  const service = await startService({ settings: { policy: { maxRooms: 3 } } });
  const { homeserver } = service;
  const [one, two] = await tenants(service, "one", "two");
  const rooms = Array.from({ length: 12 }, () => homeserver.makeRoom());
  const answers = await Promise.all(rooms.map(({ id }, at) => (at % 2 === 0 ? one! : two!).join(id)));
  const within = rooms.filter((room) => room.membership(PSEUDOUSER) === "join");
  expect(within.length).toBeLessThanOrEqual(3);
  expect(within.length).toBeGreaterThan(0);
  for (const answer of answers) {
    if (answer.status !== 200)
      expect(refusal(answer)).toEqual([403, "M_FORBIDDEN", expect.stringMatching(/^room-(cap|share)$/)]);
  }
  const [first] = within;
  await Promise.all([one!.leave(first!.id), two!.leave(first!.id)]);
  await service.untilRoom(first!.id, { phase: "absent" });
  const [again, more] = [homeserver.makeRoom(), homeserver.makeRoom()];
  // One of the two has as many as one tenant may have, and the other has not.
  const statuses = [(await one!.join(again.id)).status, (await two!.join(more.id)).status];
  expect(statuses).toContain(200);
});

test("while the homeserver cannot describe a room, a join is answered as its failure, and no lease is taken", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const [one] = await tenants(service, "one");
  service.homeserver.fault("GET", /room_summary/, { status: 500, body: { errcode: "M_UNKNOWN", error: "oh" } }, 5);
  expect((await one!.join(room.id)).status).toBe(502);
  expect(joins(service.homeserver)).toBe(0);
});

test("a restart in the middle of a join finishes it", async () => {
  const first = await startService();
  const { homeserver } = first;
  const room = homeserver.makeRoom();
  const [one] = await tenants(first, "one");
  homeserver.fault("POST", JOIN, "hang");
  const asked = one!.join(room.id);
  await eventually("the join", () => joins(homeserver) === 1);
  await first.app.stop();
  expect((await asked).status).toBeGreaterThanOrEqual(500);
  const second = await startService({ homeserver, sqlite: first.config.storage.sqlite });
  await second.untilRoom(room.id, { phase: "present", load: "loaded" });
  expect(room.membership(PSEUDOUSER)).toBe("join");
});

test("a restart in the middle of a leave finishes it", async () => {
  const first = await startService();
  const { homeserver } = first;
  const room = homeserver.makeRoom();
  const [one] = await tenants(first, "one");
  await one!.join(room.id);
  homeserver.fault("POST", /\/leave$/, "hang");
  await one!.leave(room.id);
  await eventually("the leave", () => homeserver.seen("POST", /\/leave$/).length === 1);
  await first.app.stop();
  const second = await startService({ homeserver, sqlite: first.config.storage.sqlite });
  await second.untilRoom(room.id, { phase: "absent" });
  expect(room.membership(PSEUDOUSER)).toBe("leave");
});

test("the pseudouser's kick while Emissary was down is learnt from the transactions afterwards", async () => {
  const first = await startService();
  const { homeserver } = first;
  const room = homeserver.makeRoom();
  const [one] = await tenants(first, "one");
  await one!.join(room.id);
  await first.untilDelivered();
  await first.app.stop();
  homeserver.setMembership(room, PSEUDOUSER, "leave", CREATOR);
  const second = await startService({ homeserver, sqlite: first.config.storage.sqlite });
  await second.untilDelivered();
  expect(await second.room(room.id)).toMatchObject({ own_membership: "leave", leases: [] });
  expect(joins(homeserver)).toBe(1);
});

/** Our own membership is asked for after each move, so the transactions that bring the same moves may come much later. */
test("transactions that arrive late leave the ledger as the homeserver has it", async () => {
  const service = await startService();
  const { homeserver } = service;
  const room = homeserver.makeRoom();
  const [one] = await tenants(service, "one");
  homeserver.sender.hold();
  for (let round = 0; round < 3; round += 1) {
    expect((await one!.join(room.id)).status).toBe(200);
    await one!.leave(room.id);
    await service.untilRoom(room.id, { phase: "absent" });
  }
  expect((await one!.join(room.id)).status).toBe(200);
  homeserver.sender.release();
  await service.untilDelivered();
  await service.untilRoom(room.id, { phase: "present", own_membership: "join", load: "loaded" });
  expect(room.membership(PSEUDOUSER)).toBe("join");
  expect(await one!.joinedRooms()).toEqual([room.id]);
});

test("a storm of joins and leaves ends as the last wish has it", async () => {
  const service = await startService();
  const { homeserver } = service;
  const rooms = Array.from({ length: 6 }, () => homeserver.makeRoom());
  const all = await tenants(service, "a", "b", "c");
  const storm = all.flatMap((tenant, which) =>
    rooms.map(async ({ id }, n) => {
      // A room is joined six times in an hour at most.
      for (let round = 0; round < 2; round += 1) {
        await tenant.join(id);
        if (round < 1 || (n + which) % 2 === 0) await tenant.leave(id);
      }
    }),
  );
  await Promise.all(storm);
  await service.untilDelivered();
  for (const [n, room] of rooms.entries()) {
    const wanted = all.some((_, which) => (n + which) % 2 !== 0);
    await service.untilRoom(room.id, { phase: wanted ? "present" : "absent" });
    expect(room.membership(PSEUDOUSER)).toBe(wanted ? "join" : "leave");
  }
});
