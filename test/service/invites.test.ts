/** Invites: the pseudouser's own, which are declined unless a tenant is meant, and those of local users, which may have it take part. */
import { describe, expect, test } from "vitest";
import type { Clock } from "../../src/model/clock.ts";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { SERVER, type FakeHomeserver } from "../support/fake-homeserver.ts";
import {
  ask,
  eventually,
  fakeHomeserver,
  PSEUDOUSER,
  startService,
  type Service,
  type Settings,
} from "../support/service-app.ts";

const JOIN = /\/join\//;
const LEAVE = /\/leave$/;
const EVE = "@eve:elsewhere.test";
const ACCOUNT_DATA = /account_data\/m\.invite_permission_config$/;
const DAY = 24 * 60 * 60_000;

const DECLINING: Settings = { policy: { ownInvites: "decline" } };
const TAKING_PART: Settings = { invites: { takePart: true }, policy: { ownInvites: "decline" } };

/** Thousands of commits need not wait for the disk. */
const QUICK: Settings = { storage: { durability: "process" } };

/** A clock that a test sets forward, and that is quick in between. */
class LeapingClock implements Clock {
  readonly #start = Date.now();
  #leapt = 0;

  now(): number {
    return this.#start + this.#leapt + (Date.now() - this.#start) * 50;
  }

  leap(ms: number): void {
    this.#leapt += ms;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms / 50);
      signal?.addEventListener("abort", done, { once: true });
    });
  }
}

function invitePseudouser(homeserver: FakeHomeserver, room: FakeRoom, reason?: string): void {
  const content = { membership: "invite", ...(reason === undefined ? {} : { reason }) };
  homeserver.send(room, EVE, "m.room.member", content, PSEUDOUSER);
}

/** A homeserver that tells us of its users, as it does with a registration that watches invites. */
async function watching(...users: readonly string[]): Promise<FakeHomeserver> {
  const homeserver = await fakeHomeserver();
  for (const user of users) homeserver.registered.add(user);
  return homeserver;
}

const local = (name: string): string => `@${name}:${SERVER}`;

function invite(homeserver: FakeHomeserver, room: FakeRoom, user: string, inviter = EVE): void {
  homeserver.setMembership(room, user, "invite", inviter);
}

/** Holders of live leases in a room. */
function holders(service: Service, room: FakeRoom): string[] {
  return service
    .query<{ holder: string }>(
      "SELECT holder FROM leases l JOIN rooms r ON r.nr = l.room_nr WHERE r.room_id = ? AND ended_at IS NULL ORDER BY holder",
      room.id,
    )
    .map(({ holder }) => holder);
}

/** Where the reader of local users' invites is in the journal; null where it has no place there. */
function place(service: Service): number | null {
  return service.query<{ seq: number }>("SELECT seq FROM cursors WHERE consumer = 'invites'")[0]?.seq ?? null;
}

/** Waits until every event that the homeserver has sent was looked at for invites. */
async function untilRead(service: Service): Promise<void> {
  await service.untilDelivered();
  await eventually("all being read", () => place(service) === service.journal().length);
}

describe("an invite of the pseudouser", () => {
  test("that is for no tenant is declined with a reason, and leads to no join", async () => {
    const service = await startService({ settings: DECLINING });
    const { homeserver } = service;
    const room = homeserver.makeRoom();
    invitePseudouser(homeserver, room);
    await service.untilRoom(room.id, { own_membership: "leave" });
    expect(room.membership(PSEUDOUSER)).toBe("leave");
    expect(homeserver.seen("POST", LEAVE).map(({ body }) => body["reason"])).toEqual([
      expect.stringContaining("not a person"),
    ]);
    expect(homeserver.seen("POST", JOIN)).toEqual([]);
  });

  test("by a denied server is declined without telling why", async () => {
    const settings: Settings = { policy: { ownInvites: "decline", denyServers: ["elsewhere.test"] } };
    const service = await startService({ settings });
    const room = service.homeserver.makeRoom();
    invitePseudouser(service.homeserver, room);
    await service.untilRoom(room.id, { own_membership: "leave" });
    const [request] = service.homeserver.seen("POST", LEAVE);
    expect(request?.body).toEqual({ reason: "Invites are not accepted." });
  });

  test("that is for a tenant waits a week for it", async () => {
    const clock = new LeapingClock();
    const service = await startService({ settings: DECLINING, clock });
    const { homeserver } = service;
    const tenant = await service.tenant("news");
    const [taken, forgotten] = [homeserver.makeRoom(), homeserver.makeRoom()];
    for (const room of [taken, forgotten]) invitePseudouser(homeserver, room, "for news, please");
    await service.untilDelivered();
    clock.leap(6 * DAY);
    expect((await tenant.join(taken.id)).status).toBe(200);
    expect(forgotten.membership(PSEUDOUSER)).toBe("invite");
    clock.leap(1.01 * DAY);
    await service.untilRoom(forgotten.id, { own_membership: "leave" });
    expect(taken.membership(PSEUDOUSER)).toBe("join");
  });

  test("is found again after a crash in the middle of declining it", async () => {
    const clock = new LeapingClock();
    const first = await startService({ settings: DECLINING, clock });
    const { homeserver } = first;
    const room = homeserver.makeRoom();
    homeserver.fault("POST", LEAVE, "hang");
    invitePseudouser(homeserver, room);
    await eventually("the leave", () => homeserver.seen("POST", LEAVE).length === 1);
    await first.app.stop();
    const sqlite = first.config.storage.sqlite;
    const second = await startService({ homeserver, sqlite, settings: DECLINING, clock });
    clock.leap(11 * 60_000);
    await second.untilRoom(room.id, { own_membership: "leave" });
    expect(room.membership(PSEUDOUSER)).toBe("leave");
  });

  test("that came while all were kept is left alone", async () => {
    const service = await startService({ settings: { policy: { ownInvites: "keep" } } });
    const room = service.homeserver.makeRoom();
    invitePseudouser(service.homeserver, room);
    await service.untilRoom(room.id, { own_membership: "invite" });
    await eventually(
      "its being looked at",
      () => service.query("SELECT 1 FROM rooms WHERE invite_at IS NOT NULL").length === 0,
    );
    expect(service.homeserver.seen("POST", LEAVE)).toEqual([]);
  });

  test("is one of ten thousand of one server: twenty are declined an hour, and after a week nothing is left of them", async () => {
    const clock = new LeapingClock();
    const service = await startService({ settings: { ...DECLINING, ...QUICK }, clock });
    const { homeserver } = service;
    const begun = clock.now();
    for (let nr = 0; nr < 10_000; nr += 1)
      invitePseudouser(homeserver, homeserver.makeRoom({ id: `!lure-${nr}:elsewhere.test` }));
    await eventually("all of them", () => homeserver.sender.isIdle, 25_000);
    const looked = (): number =>
      service.query<{ n: number }>(
        "SELECT count(*) AS n FROM rooms WHERE own_membership = 'invite' AND invite_at IS NOT NULL",
      )[0]?.n ?? -1;
    await eventually("their being looked at", () => looked() === 0, 25_000);
    // What is used up comes back by and by, and here an hour goes by in little more than a minute.
    const hours = (clock.now() - begun) / 3_600_000;
    expect(homeserver.seen("POST", LEAVE).length).toBeLessThanOrEqual(20 * (1 + hours));
    expect(homeserver.seen("POST", LEAVE).length).toBeGreaterThanOrEqual(20);
    expect(homeserver.seen("POST", JOIN)).toEqual([]);
    clock.leap(7 * DAY + 2 * 3_600_000);
    const rooms = (): number => service.query<{ n: number }>("SELECT count(*) AS n FROM rooms")[0]?.n ?? -1;
    await eventually("their being forgotten", () => rooms() === 0, 25_000);
    for (const table of ["members", "room_state", "attendance", "leases"]) {
      expect([table, service.query(`SELECT 1 FROM ${table}`)]).toEqual([table, []]);
    }
  }, 90_000);
});

describe("where the homeserver can refuse invites itself", () => {
  const VERSIONS = { status: 200, body: { versions: ["v1.18"] } };

  test("it is asked to with policy.own_invites: block, and no longer when that changes", async () => {
    const homeserver = await fakeHomeserver();
    homeserver.fault("GET", /client\/versions$/, VERSIONS, 100);
    const service = await startService({ homeserver, settings: { policy: { ownInvites: "block" } } });
    await eventually("the account data", () => homeserver.seen("PUT", ACCOUNT_DATA).length === 1);
    expect(homeserver.seen("PUT", ACCOUNT_DATA)[0]?.body).toEqual({ default_action: "block" });
    await eventually(
      "the status",
      async () => (await service.admin("GET", "/status")).body["own_invites"] === "blocked",
    );
    service.app.reload({ ...service.config, policy: { ...service.config.policy, ownInvites: "decline" } });
    await eventually("the account data", () => homeserver.seen("PUT", ACCOUNT_DATA).length === 2);
    expect(homeserver.seen("PUT", ACCOUNT_DATA)[1]?.body).toEqual({});
    expect((await service.admin("GET", "/status")).body["own_invites"]).toBe("declined");
  });

  test("one that does not know how is not, and invites are declined", async () => {
    const service = await startService({ settings: { policy: { ownInvites: "block" } } });
    const room = service.homeserver.makeRoom();
    invitePseudouser(service.homeserver, room);
    await service.untilRoom(room.id, { own_membership: "leave" });
    expect(service.homeserver.seen("PUT", ACCOUNT_DATA)).toEqual([]);
    expect((await service.admin("GET", "/status")).body["own_invites"]).toBe("declined");
    expect(service.log.events("warn")).toContain("invites.not-blocked");
  });
});

describe("an invite of a local user", () => {
  test("has the pseudouser join a public room, until the user has joined", async () => {
    const alice = local("alice");
    const homeserver = await watching(alice);
    const service = await startService({ homeserver, settings: TAKING_PART });
    const room = homeserver.makeRoom();
    invite(homeserver, room, alice);
    await service.untilRoom(room.id, { phase: "present" });
    expect(holders(service, room)).toEqual([alice]);
    homeserver.setMembership(room, alice, "join");
    await service.untilRoom(room.id, { phase: "absent" });
    expect(room.membership(PSEUDOUSER)).toBe("leave");
  });

  test.each([
    ["the user declines", local("alice")],
    ["the invite is taken back", EVE],
  ])("has it leave when %s", async (_what, sender) => {
    const alice = local("alice");
    const homeserver = await watching(alice);
    const service = await startService({ homeserver, settings: TAKING_PART });
    const room = homeserver.makeRoom();
    invite(homeserver, room, alice);
    await service.untilRoom(room.id, { phase: "present" });
    homeserver.setMembership(room, alice, "leave", sender);
    await service.untilRoom(room.id, { phase: "absent" });
    expect(holders(service, room)).toEqual([]);
  });

  test("has it leave when nobody has answered for invites.wait", async () => {
    const alice = local("alice");
    const clock = new LeapingClock();
    const homeserver = await watching(alice);
    const service = await startService({ homeserver, clock, settings: TAKING_PART });
    const room = homeserver.makeRoom();
    invite(homeserver, room, alice);
    await service.untilRoom(room.id, { phase: "present" });
    clock.leap(DAY);
    await service.untilRoom(room.id, { phase: "absent" });
  });

  test("is one of a thousand into one room: one join, and one that pays", async () => {
    const users = Array.from({ length: 1_000 }, (_, nr) => local(`user-${nr}`));
    const homeserver = await watching(...users);
    const once = { joins: 1, per: 3_600_000_000 };
    const service = await startService({
      homeserver,
      settings: { ...TAKING_PART, ...QUICK, invites: { takePart: true, joinsPerServer: once, joinsPerInviter: once } },
    });
    const room = homeserver.makeRoom();
    for (const user of users) invite(homeserver, room, user);
    await untilRead(service);
    await service.untilRoom(room.id, { phase: "present" });
    expect(holders(service, room)).toHaveLength(1_000);
    expect(homeserver.seen("POST", JOIN)).toHaveLength(1);
    // As a stranger, for the lease, and before the join: how many of these share an answer depends on who is first.
    expect(homeserver.seen("GET", /room_summary/).length).toBeLessThanOrEqual(3);
  });

  test.each([
    ["one server", "joinsPerServer", (nr: number) => `@eve-${nr}:elsewhere.test`],
    ["one inviter", "joinsPerInviter", () => EVE],
  ] as const)(
    "of %s causes no more joins than may be, and those that are refused are not tried again",
    async (_what, key, inviterOf) => {
      const alice = local("alice");
      const homeserver = await watching(alice);
      const budget = { [key]: { joins: 3, per: 3_600_000_000 } };
      const service = await startService({
        homeserver,
        settings: { ...TAKING_PART, invites: { takePart: true, ...budget } },
      });
      const rooms = Array.from({ length: 8 }, () => homeserver.makeRoom());
      for (const [nr, room] of rooms.entries()) invite(homeserver, room, alice, inviterOf(nr));
      await untilRead(service);
      await eventually("the joins", () => homeserver.seen("POST", JOIN).length === 3);
      const elsewhere = homeserver.makeRoom();
      invite(homeserver, elsewhere, alice, "@mallory:another.test");
      await service.untilRoom(elsewhere.id, { phase: "present" });
      expect(homeserver.seen("POST", JOIN)).toHaveLength(4);
      const metrics = await ask(service.app.ports.admin, "GET", "/metrics");
      expect(metrics.raw.toString("utf8")).toContain(
        'emissary_policy_refusals_total{code="budget-invites",holder="invite"} 5',
      );
      const rows = service.query("SELECT 1 FROM audit WHERE action = 'lease.take' AND outcome = 'budget-invites'");
      expect(rows).toHaveLength(5);
    },
  );

  test("into a room that is not public is left alone; where the pseudouser is invited, too, it comes", async () => {
    const alice = local("alice");
    const homeserver = await watching(alice);
    const service = await startService({ homeserver, settings: TAKING_PART });
    const [closed, both] = [homeserver.makeRoom({ joinRule: "invite" }), homeserver.makeRoom({ joinRule: "invite" })];
    invite(homeserver, closed, alice);
    invite(homeserver, both, alice);
    invitePseudouser(homeserver, both);
    await service.untilRoom(both.id, { phase: "present" });
    expect(closed.membership(PSEUDOUSER)).toBeNull();
    expect(homeserver.seen("POST", JOIN)).toHaveLength(1);
  });

  test("of a denied server, or of a tenant's own user, or by a local user, is left alone", async () => {
    const [alice, bot] = [local("alice"), local("_irc_x")];
    const homeserver = await watching(alice, bot);
    const service = await startService({
      homeserver,
      settings: { ...TAKING_PART, policy: { ownInvites: "decline", denyServers: ["bad.test"] } },
    });
    await service.tenant("irc", undefined, `@_irc_.*:${SERVER}`);
    invite(homeserver, homeserver.makeRoom(), alice, "@eve:bad.test");
    invite(homeserver, homeserver.makeRoom(), bot);
    invite(homeserver, homeserver.makeRoom(), alice, local("carol"));
    await untilRead(service);
    expect(service.query("SELECT 1 FROM leases")).toEqual([]);
    expect(homeserver.seen("GET", /room_summary/)).toEqual([]);
  });

  test("does nothing where invites.take_part is off, and holds nothing of the journal back", async () => {
    const alice = local("alice");
    const homeserver = await watching(alice);
    const first = await startService({ homeserver, settings: TAKING_PART });
    await eventually("its place in the journal", () => place(first) !== null);
    await first.app.stop();
    const second = await startService({ homeserver, sqlite: first.config.storage.sqlite });
    invite(homeserver, homeserver.makeRoom(), alice);
    await second.untilDelivered();
    await eventually("its place being given up", () => place(second) === null);
    expect(second.query("SELECT 1 FROM leases")).toEqual([]);
    expect(homeserver.seen("POST", JOIN)).toEqual([]);
  });

  test("that was read twice, because of a crash after its lease, has one lease and causes one join", async () => {
    const alice = local("alice");
    const homeserver = await watching(alice);
    const first = await startService({ homeserver, settings: TAKING_PART });
    const room = homeserver.makeRoom();
    await eventually("its place in the journal", () => place(first) !== null);
    const before = place(first) ?? 0;
    invite(homeserver, room, alice);
    await first.untilRoom(room.id, { phase: "present" });
    await first.app.stop();
    const { default: Database } = await import("better-sqlite3");
    const db = new Database(first.config.storage.sqlite);
    db.prepare("UPDATE cursors SET seq = ? WHERE consumer = 'invites'").run(before);
    db.close();
    const second = await startService({ homeserver, sqlite: first.config.storage.sqlite, settings: TAKING_PART });
    await untilRead(second);
    expect(holders(second, room)).toEqual([alice]);
    expect(second.query("SELECT 1 FROM leases WHERE kind = 'invite'")).toHaveLength(1);
    expect(homeserver.seen("POST", JOIN)).toHaveLength(1);
  });
});
