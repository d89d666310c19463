/**
 * The guard in motion: what changes in a room that the pseudouser is in has the leases there judged again, and rooms that do harm are
 * kept away from for a while.
 */
import { describe, expect, test } from "vitest";
import type { FakeRoom, RoomOptions } from "../support/fake-homeserver-rooms.ts";
import { SERVER, type FakeHomeserver } from "../support/fake-homeserver.ts";
import {
  eventually,
  HastyClock,
  PSEUDOUSER,
  startService,
  type Answer,
  type Service,
  type Settings,
} from "../support/service-app.ts";

const REASON = "org.matrix.msc1777.reason";
const CREATOR = "@creator:elsewhere.test";
const JOIN = /\/join\//;
/** Longer than a test takes: whoever lingers is still there at its end. */
const LONG = 24 * 3_600_000;
const HOUR = 3_600_000;
/** In the service's hasty time: ample for a busy machine. */
const AMPLE_MS = 600_000;

function start(settings: Settings = {}): Promise<Service> {
  return startService({
    settings: { gateway: { frontDoor: true }, attendance: { linger: LONG }, peek: { wait: AMPLE_MS }, ...settings },
  });
}

function openRoom({ homeserver }: Service, options: RoomOptions = {}): FakeRoom {
  return homeserver.makeRoom({ historyVisibility: "world_readable", ...options });
}

function peek(service: Service, room: FakeRoom): Promise<Answer> {
  const target = `/_matrix/client/v3/rooms/${encodeURIComponent(room.id)}/initialSync?via=elsewhere.test`;
  return service.gateway("GET", target, { token: "token-of-alice" });
}

/** A room with a peek and, where one is named, a tenant in it; everything told and loaded. */
async function attended(service: Service, tenantId: string | null = "bot", options: RoomOptions = {}) {
  const room = openRoom(service, options);
  const tenant = tenantId === null ? null : await service.tenant(tenantId);
  if (tenant !== null) expect((await tenant.join(room.id)).status).toBe(200);
  expect((await peek(service, room)).status).toBe(200);
  await service.untilRoom(room.id, { phase: "present", load: "loaded" });
  return { room, tenant };
}

function holders(service: Service, room: FakeRoom): string[] {
  return service
    .query<{ kind: string }>(
      "SELECT kind FROM leases JOIN rooms ON nr = room_nr WHERE room_id = ? AND ended_at IS NULL ORDER BY kind",
      room.id,
    )
    .map(({ kind }) => kind);
}

async function untilHolders(service: Service, room: FakeRoom, wanted: readonly string[]): Promise<void> {
  await eventually(`the holders ${wanted.join()}`, () => holders(service, room).join() === wanted.join());
}

/** Why the newest lease ended that was refused, as the audit has it. */
function refusals(service: Service, room: FakeRoom): unknown[] {
  return service
    .query<{ detail: string }>(
      "SELECT detail FROM audit WHERE action = 'lease.end' AND outcome = 'refused' AND room_id = ? ORDER BY id",
      room.id,
    )
    .map(({ detail }) => (JSON.parse(detail) as { code: string }).code);
}

function set(service: Service, room: FakeRoom, type: string, content: Record<string, string | string[]>): void {
  service.homeserver.send(room, CREATOR, type, content, "");
}

async function rule(service: Service, room: FakeRoom, verdict: "allow" | "deny"): Promise<void> {
  const { status } = await service.admin("POST", "/policy/rules", {
    kind: "room",
    entity: room.id,
    verdict,
    reason: null,
  });
  expect(status).toBe(200);
}

function joins(homeserver: FakeHomeserver): number {
  return homeserver.seen("POST", JOIN).length;
}

/** So many messages at once, made just now. */
function flood({ homeserver, clock }: Service, room: FakeRoom, count: number): void {
  for (let n = 0; n < count; n += 1) {
    const event = room.append("m.room.message", CREATOR, { msgtype: "m.text", body: "spam" });
    event.origin_server_ts = clock.now();
    homeserver.sender.push(event);
  }
}

describe("when a room changes that the pseudouser is in", () => {
  test("peeks of one that nobody may look into any more end, and the tenant stays", async () => {
    const service = await start();
    const { room } = await attended(service);
    set(service, room, "m.room.history_visibility", { history_visibility: "joined" });
    await untilHolders(service, room, ["tenant"]);
    expect(refusals(service, room)).toEqual(["not-peekable"]);
    expect(room.membership(PSEUDOUSER)).toBe("join");
    await service.untilRoom(room.id, { phase: "present" });
  });

  test("the same where it can be entered by invite only", async () => {
    const service = await start();
    const { room } = await attended(service);
    set(service, room, "m.room.join_rules", { join_rule: "invite" });
    await untilHolders(service, room, ["tenant"]);
    expect(refusals(service, room)).toEqual(["join-rule"]);
  });

  test("with the last lease the pseudouser leaves after the linger; until then the room says why", async () => {
    const service = await start({ attendance: { linger: 60_000 } });
    const { room } = await attended(service, null);
    set(service, room, "m.room.join_rules", { join_rule: "invite" });
    expect(await service.untilRoom(room.id, { phase: "present", code: "join-rule" })).toMatchObject({ leases: [] });
    await service.untilRoom(room.id, { phase: "refused", own_membership: "leave", code: "join-rule" });
  });

  test("a room that keeps our server out is left at once", async () => {
    const service = await start();
    const { room } = await attended(service);
    set(service, room, "m.room.server_acl", { allow: ["*"], deny: [SERVER] });
    await service.untilRoom(room.id, { phase: "refused", own_membership: "leave", code: "server-acl" });
    expect(refusals(service, room)).toEqual(["server-acl", "server-acl"]);
  });

  test("that is no memory: while the list is there the room's servers refuse us, and once it is lifted everybody has the room again", async () => {
    const service = await start();
    const { room, tenant } = await attended(service);
    set(service, room, "m.room.server_acl", { allow: ["*"], deny: [SERVER] });
    await service.untilRoom(room.id, { phase: "refused", own_membership: "leave", code: "server-acl" });
    const before = joins(service.homeserver);
    const refusal = { [REASON]: "server-acl", error: "The room keeps this server out." };
    expect(await tenant?.join(room.id)).toMatchObject({ status: 403, body: refusal });
    expect(await peek(service, room)).toMatchObject({ status: 403, body: { [REASON]: "server-acl" } });
    const operator = (): Promise<Answer> => service.admin("POST", `/rooms/${encodeURIComponent(room.id)}/join`, {});
    expect((await operator()).status).toBe(403);
    expect(joins(service.homeserver)).toBeGreaterThan(before);

    // We are not told: nobody of our server is in the room.
    room.append("m.room.server_acl", CREATOR, { allow: ["*"] }, "");
    expect((await operator()).status).toBe(200);
    expect((await tenant?.join(room.id))?.status).toBe(200);
    expect((await peek(service, room)).status).toBe(200);
  });

  test("a leave that we did not make is not undone: the leases end with that, and nobody has us back for a while", async () => {
    const service = await start();
    const { room, tenant } = await attended(service);
    const before = joins(service.homeserver);
    service.homeserver.setMembership(room, PSEUDOUSER, "leave", PSEUDOUSER);
    await service.untilRoom(room.id, { phase: "refused", own_membership: "leave", code: "withdrawn" });
    expect(holders(service, room)).toEqual([]);
    await service.clock.sleep(60_000);
    expect(await tenant?.join(room.id)).toMatchObject({ status: 403, body: { [REASON]: "put-out" } });
    expect(joins(service.homeserver)).toBe(before);
    expect(room.membership(PSEUDOUSER)).toBe("leave");
    const { status } = await service.admin("POST", `/rooms/${encodeURIComponent(room.id)}/join`, {});
    expect([status, room.membership(PSEUDOUSER)]).toEqual([200, "join"]);
  });

  test("a room that flaps causes no joins and leaves, and is peeked again as soon as it is open", async () => {
    const service = await start();
    const { room } = await attended(service, null);
    for (let n = 0; n < 20; n += 1) {
      set(service, room, "m.room.history_visibility", {
        history_visibility: n % 2 === 0 ? "joined" : "world_readable",
      });
    }
    await service.untilDelivered();
    await eventually("the room's rest", () => {
      const [row] = service.query<{ due: number | null }>(
        "SELECT review_at AS due FROM rooms WHERE room_id = ?",
        room.id,
      );
      return row?.due === null;
    });
    expect((await peek(service, room)).status).toBe(200);
    expect(joins(service.homeserver)).toBe(1);
    expect(room.membership(PSEUDOUSER)).toBe("join");
  });

  test("what changed while Emissary was down is judged once it is heard of", async () => {
    const service = await start();
    const { room } = await attended(service);
    await service.app.stop();
    set(service, room, "m.room.history_visibility", { history_visibility: "joined" });
    const next = await startService({
      homeserver: service.homeserver,
      sqlite: service.config.storage.sqlite,
      settings: { attendance: { linger: LONG } },
    });
    await untilHolders(next, room, ["tenant"]);
  });
});

describe("when the operator changes his mind", () => {
  test("a room that is denied while the pseudouser is there is left at once", async () => {
    const service = await start();
    const { room, tenant } = await attended(service);
    await rule(service, room, "deny");
    await service.untilRoom(room.id, { phase: "refused", own_membership: "leave", code: "denied" });
    expect((await tenant!.join(room.id)).body[REASON]).toBe("denied");
    const target = `/policy/rules/room/${encodeURIComponent(room.id)}`;
    expect((await service.admin("DELETE", target)).status).toBe(200);
    expect((await tenant!.join(room.id)).status).toBe(200);
  });

  test("a tenant whose grants no longer cover the room is out of it, and others are not", async () => {
    const service = await start();
    const { room } = await attended(service);
    const other = await service.tenant("other");
    await other.join(room.id);
    const grant = { rooms: ["!none:elsewhere.test"], actions: ["read"], only: true };
    expect((await service.admin("POST", "/tenants/other/grants", grant)).status).toBe(200);
    await untilHolders(service, room, ["peek", "tenant"]);
    expect(refusals(service, room)).toEqual(["not-allowed"]);
  });

  test("limits hold for rooms that the pseudouser is in, too, once the configuration was read again", async () => {
    const service = await start();
    const { room } = await attended(service);
    const { config } = service;
    service.app.reload({
      ...config,
      policy: { ...config.policy, refuseVersions: [room.version], denyTenants: ["bot"] },
    });
    await service.untilRoom(room.id, { own_membership: "leave" });
    expect(refusals(service, room).sort()).toEqual(["denied", "room-version"]);
  });

  test("what he holds himself stays, whatever is said against the room", async () => {
    const service = await start();
    const { room } = await attended(service);
    await service.admin("POST", `/rooms/${encodeURIComponent(room.id)}/join`, {});
    await rule(service, room, "deny");
    await untilHolders(service, room, ["operator"]);
    await service.untilRoom(room.id, { phase: "present" });
  });
});

/** A clock that a test can set forward. */
class ForwardClock extends HastyClock {
  ahead = 0;

  override now(): number {
    return super.now() + this.ahead;
  }
}

describe("a room that sends more than may be", () => {
  const settings: Settings = { gateway: { frontDoor: true }, peek: { wait: AMPLE_MS }, policy: { maxEventRate: 5 } };

  test("is left at once and refused for an hour, the next time for two", async () => {
    const clock = new ForwardClock();
    const service = await startService({ clock, settings: { ...settings, attendance: { linger: LONG } } });
    const { room, tenant } = await attended(service);
    flood(service, room, 60);
    await service.untilRoom(room.id, { phase: "refused", own_membership: "leave", code: "flooded" });
    expect(refusals(service, room)).toEqual(["flooded", "flooded"]);
    const again = await tenant!.join(room.id);
    expect([again.status, again.body[REASON]]).toEqual([403, "flooded"]);
    expect((await peek(service, room)).status).toBe(403);
    expect(joins(service.homeserver)).toBe(1);
    expect(service.log.events("warn")).toContain("room.flooded");
    await service.untilDelivered();
    clock.ahead += HOUR;
    expect((await tenant!.join(room.id)).status).toBe(200);
    clock.ahead += 20_000;
    flood(service, room, 60);
    await service.untilRoom(room.id, { phase: "refused", own_membership: "leave", code: "flooded" });
    clock.ahead += HOUR;
    expect((await tenant!.join(room.id)).body[REASON]).toBe("flooded");
    clock.ahead += HOUR;
    expect((await tenant!.join(room.id)).status).toBe(200);
  });

  test("stays where the operator allows it, or wants it", async () => {
    const service = await start(settings);
    const [allowed, wanted] = [(await attended(service)).room, openRoom(service)];
    await rule(service, allowed, "allow");
    await service.admin("POST", `/rooms/${encodeURIComponent(wanted.id)}/join`, { via: ["elsewhere.test"] });
    expect((await peek(service, wanted)).status).toBe(200);
    for (const room of [allowed, wanted]) flood(service, room, 60);
    await untilHolders(service, wanted, ["operator"]);
    await service.untilDelivered();
    expect(holders(service, allowed)).toEqual(["peek", "tenant"]);
    for (const room of [allowed, wanted]) expect(room.membership(PSEUDOUSER)).toBe("join");
  });
});

describe("a room where somebody put the pseudouser out", () => {
  test("is not looked into again for a while, and is as soon as it invites", async () => {
    const service = await start();
    const { room } = await attended(service, null);
    service.homeserver.setMembership(room, PSEUDOUSER, "leave", CREATOR);
    await service.untilRoom(room.id, { phase: "refused", code: "kicked" });
    const refused = await peek(service, room);
    expect([refused.status, refused.body[REASON]]).toEqual([403, "put-out"]);
    service.homeserver.setMembership(room, PSEUDOUSER, "invite", CREATOR);
    await service.untilRoom(room.id, { own_membership: "invite" });
    expect((await peek(service, room)).status).toBe(200);
  });
});
