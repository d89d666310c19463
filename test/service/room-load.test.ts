/**
 * Loading a room: its state and members are fetched in the background while its events go on arriving, in bounded memory, and
 * the ledger ends as the homeserver has it.
 */
import { expect, test } from "vitest";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { Daemon } from "../support/service-daemon.ts";
import { sizeOf } from "../support/soak.ts";
import {
  ask,
  eventually,
  fakeHomeserver,
  gate,
  PSEUDOUSER,
  startService,
  temporaryFolder,
  type Service,
} from "../support/service-app.ts";

const STATE = /\/state$/;
const CREATOR = "@creator:elsewhere.test";

/** Who is in the room by the ledger, with their membership, and by the homeserver. */
function ledgerOf(service: Service): Record<string, string> {
  const rows = service.query<{ user_id: string; membership: string }>("SELECT user_id, membership FROM members");
  return Object.fromEntries(rows.map(({ user_id, membership }) => [user_id, membership]));
}

function truthOf(room: FakeRoom): Record<string, string> {
  const members = room.state.filter(({ type }) => type === "m.room.member");
  return Object.fromEntries(
    members.map((event) => [event["state_key"] as string, event.content["membership"] as string]),
  );
}

function crowd(size: number): string[] {
  return Array.from({ length: size }, (_, n) => `@user${n}:elsewhere.test`);
}

test("twenty thousand members are loaded, and what changed meanwhile is kept", async () => {
  const service = await startService();
  const { homeserver } = service;
  const room = homeserver.makeRoom({ name: "Before", members: crowd(20_000) });
  const tenant = await service.tenant("one");
  expect((await tenant.join(room.id)).status).toBe(200);
  await eventually("the load under way", () => homeserver.seen("GET", STATE).length > 0);
  for (let n = 0; n < 40; n += 1) {
    homeserver.setMembership(room, `@user${n * 450}:elsewhere.test`, n % 2 === 0 ? "leave" : "ban", CREATOR);
    homeserver.setMembership(room, `@new${n}:elsewhere.test`, "join");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  homeserver.send(room, CREATOR, "m.room.name", { name: "After" }, "");
  await service.untilDelivered();
  const loaded = await service.untilRoom(room.id, { load: "loaded" });
  expect(loaded["joined_members"]).toBe(room.users("join").length);
  expect(loaded["name"]).toBe("After");
  expect(ledgerOf(service)).toEqual(truthOf(room));
});

test("members are paged by the admin API, each once", async () => {
  const service = await startService();
  const room = service.homeserver.makeRoom({ members: crowd(1_200) });
  await (await service.tenant("one")).join(room.id);
  await service.untilRoom(room.id, { load: "loaded" });
  const found: string[] = [];
  let after: string | null = "";
  while (after !== null) {
    const query = after === "" ? "" : `&after=${encodeURIComponent(after)}`;
    const { body } = await service.admin(
      "GET",
      `/rooms/${encodeURIComponent(room.id)}/members?membership=join${query}`,
    );
    found.push(...(body["members"] as { user_id: string }[]).map(({ user_id }) => user_id));
    after = body["next"] as string | null;
  }
  expect(found).toEqual(room.users("join"));
});

test.each([
  ["breaks off", { cutAfter: 300 }],
  ["ends early without a word", { cutAfter: 300, politely: true }],
  ["is no JSON", { text: "<html>" }],
  ["is JSON of another kind", { text: "{}" }],
  ["is an empty list", { text: "[]" }],
  ["is an error", { status: 500, body: { errcode: "M_UNKNOWN" } }],
  ["is a limit", { status: 429, body: { errcode: "M_LIMIT_EXCEEDED" } }],
])("an answer that %s is no state: it is asked for again", async (_what, fault) => {
  const service = await startService();
  const { homeserver } = service;
  const room = homeserver.makeRoom({ members: crowd(20) });
  homeserver.fault("GET", STATE, fault, 2);
  await (await service.tenant("one")).join(room.id);
  await service.untilRoom(room.id, { load: "loaded" });
  expect(ledgerOf(service)).toEqual(truthOf(room));
  expect(homeserver.seen("GET", STATE).length).toBeGreaterThanOrEqual(3);
});

test("what the homeserver no longer has goes from the ledger with the next load", async () => {
  const service = await startService();
  const { homeserver } = service;
  const room = homeserver.makeRoom({ members: crowd(30) });
  const tenant = await service.tenant("one");
  await tenant.join(room.id);
  await service.untilRoom(room.id, { load: "loaded" });
  await service.untilDelivered();
  // The appservice misses one event; the next one says that it replaced an event which is not the one the ledger holds.
  room.append("m.room.member", CREATOR, { membership: "ban" }, "@user3:elsewhere.test");
  room.append("m.room.member", CREATOR, { membership: "ban" }, "@user4:elsewhere.test");
  homeserver.setMembership(room, "@user3:elsewhere.test", "leave", CREATOR);
  await eventually("the ledger being right again", () => {
    return (
      JSON.stringify(ledgerOf(service)) === JSON.stringify(Object.fromEntries(Object.entries(truthOf(room)).sort()))
    );
  });
});

test("a room left while it is being loaded is dropped again", async () => {
  const service = await startService();
  const { homeserver } = service;
  const room = homeserver.makeRoom({ members: crowd(50) });
  const slow = gate();
  homeserver.fault("GET", STATE, { waitFor: slow.opened });
  const tenant = await service.tenant("one");
  await tenant.join(room.id);
  await eventually("the load", () => homeserver.seen("GET", STATE).length === 1);
  await tenant.leave(room.id);
  await eventually("the leave", () => room.membership(PSEUDOUSER) === "leave");
  slow.open();
  await service.untilRoom(room.id, { phase: "absent", load: "none" });
  expect(ledgerOf(service)).toEqual({ [PSEUDOUSER]: "leave" });
});

/** An answer that was made before we left says nothing of the room that we came back to. */
test("a room left and entered again while it is being loaded is loaded anew", async () => {
  const service = await startService();
  const { homeserver } = service;
  const room = homeserver.makeRoom({ members: crowd(50) });
  const slow = gate();
  homeserver.fault("GET", STATE, { waitFor: slow.opened });
  const tenant = await service.tenant("one");
  await tenant.join(room.id);
  await eventually("the load", () => homeserver.seen("GET", STATE).length === 1);
  await tenant.leave(room.id);
  await eventually("the leave", () => room.membership(PSEUDOUSER) === "leave");
  await service.untilRoom(room.id, { own_membership: "leave" });
  homeserver.setMembership(room, "@user7:elsewhere.test", "ban", CREATOR);
  await tenant.join(room.id);
  slow.open();
  await service.untilRoom(room.id, { load: "loaded" });
  await eventually("the ledger as the homeserver has it", () => ledgerOf(service)["@user7:elsewhere.test"] === "ban");
  expect(ledgerOf(service)).toEqual(truthOf(room));
});

/** Of 50 kB each. */
const LARGE_EVENTS = sizeOf(3_000, 6_000);

test("a state passes through a daemon whose heap could not hold it", async () => {
  const homeserver = await fakeHomeserver();
  const room = homeserver.makeRoom();
  const padding = "p".repeat(50_000);
  for (const user of crowd(LARGE_EVENTS)) room.append("m.room.member", user, { membership: "join", padding }, user);
  const daemon = new Daemon(temporaryFolder(), homeserver, {
    config: "policy: { max_members: 100000 }",
    nodeOptions: "--max-old-space-size=96",
  });
  const { gateway } = await daemon.ready();
  const token = await daemon.tenant("one");
  const before = daemon.peakMemory;
  const join = `/_matrix/client/v3/join/${encodeURIComponent(room.id)}`;
  expect((await ask(gateway, "POST", join, { token, body: {} })).status).toBe(200);
  const about = `/rooms/${encodeURIComponent(room.id)}`;
  await eventually(
    "the room being loaded",
    async () => (await daemon.admin("GET", about)).body["load"] === "loaded",
    25_000,
  );
  expect((await daemon.admin("GET", about)).body["joined_members"]).toBe(LARGE_EVENTS + 2);
  // Buffers lie outside of what Node counts: the process as a whole is bounded, too.
  expect((daemon.peakMemory - before) / 2 ** 20).toBeLessThan(sizeOf(150, 250));
});
