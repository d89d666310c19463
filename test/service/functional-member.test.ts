/**
 * The pseudouser lists itself among a room's functional members (MSC4171) where it has the power to, so that clients of today leave it
 * out of the room's name.
 */
import { expect, test } from "vitest";
import { FUNCTIONAL_MEMBERS } from "../../src/ledger/loading/power.ts";
import type { JsonObject } from "../../src/model/json.ts";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { eventually, PSEUDOUSER, startService, type Service, type Settings } from "../support/service-app.ts";

const CREATOR = "@creator:elsewhere.test";
const BRIDGE_BOT = "@bot:elsewhere.test";
const WRITES = /\/state\/io\.element\.functional_members$/;

interface Scene {
  readonly service: Service;
  readonly room: FakeRoom;
  /** The tenant enters, and the room is loaded. */
  readonly enter: () => Promise<void>;
  readonly leave: () => Promise<void>;
}

/** A room where the pseudouser has this power, and what is listed there. */
async function scene(power: number, listed: JsonObject | null = null, settings: Settings = {}): Promise<Scene> {
  const service = await startService({ settings });
  const room = service.homeserver.makeRoom();
  room.append("m.room.power_levels", CREATOR, { users: { [CREATOR]: 100, [PSEUDOUSER]: power } }, "");
  if (listed !== null) room.append(FUNCTIONAL_MEMBERS, CREATOR, listed, "");
  const tenant = await service.tenant("one");
  return {
    service,
    room,
    enter: async () => {
      expect((await tenant.join(room.id)).status).toBe(200);
      await service.untilRoom(room.id, { load: "loaded" });
    },
    leave: async () => {
      await tenant.leave(room.id);
      await service.untilRoom(room.id, { phase: "absent", load: "none" });
    },
  };
}

const written = ({ service }: Scene): number => service.homeserver.seen("PUT", WRITES).length;
const listedIn = ({ room }: Scene): unknown => room.stateEvent(FUNCTIONAL_MEMBERS)?.content["service_members"];

/** Whatever comes of entering has come once a second room, entered after it, is loaded: one after the other is loaded. */
async function untilSettled({ service }: Scene): Promise<void> {
  const other = service.homeserver.makeRoom();
  const { id } = await service.tenant(`passing-${service.homeserver.rooms.size}`).then(async (tenant) => {
    await tenant.join(other.id);
    return other;
  });
  await service.untilRoom(id, { load: "loaded" });
  await service.untilDelivered();
}

test("with the power to, it is listed once it has entered, and the audit says so", async () => {
  const here = await scene(50);
  await here.enter();
  await eventually("its being listed", () => written(here) > 0);
  expect(listedIn(here)).toEqual([PSEUDOUSER]);
  const audited = await eventually("the audit", async () => {
    const entries = (await here.service.admin("GET", "/audit")).body["entries"] as JsonObject[];
    return entries.find(({ action }) => action === "room.functional-member");
  });
  expect(audited).toMatchObject({ actor: "emissary", outcome: "done", room_id: here.room.id });
});

test("whoever was listed before stays listed, and whatever else was written there", async () => {
  const here = await scene(50, { service_members: [BRIDGE_BOT], note: "kept" });
  await here.enter();
  await eventually("its being listed", () => written(here) > 0);
  expect(here.room.stateEvent(FUNCTIONAL_MEMBERS)?.content).toEqual({
    service_members: [BRIDGE_BOT, PSEUDOUSER],
    note: "kept",
  });
});

test.each<[string, number, JsonObject | null, Settings]>([
  ["without the power", 49, null, {}],
  ["where it is listed already", 50, { service_members: [PSEUDOUSER] }, {}],
  ["where the operator does not want it", 50, null, { attendance: { functionalMember: false } }],
])("%s it writes nothing", async (_what, power, listed, settings) => {
  const here = await scene(power, listed, settings);
  await here.enter();
  await untilSettled(here);
  expect(written(here)).toBe(0);
});

test("whoever takes it off the list is not contradicted while it stays, also when the room is loaded again", async () => {
  const here = await scene(50);
  await here.enter();
  await eventually("its being listed", () => written(here) > 0);
  const { homeserver } = here.service;
  homeserver.send(here.room, CREATOR, FUNCTIONAL_MEMBERS, { service_members: [] }, "");
  // A state event that replaced one which never came has the room loaded again.
  const states = () => homeserver.seen("GET", new RegExp(`${encodeURIComponent(here.room.id)}/state$`)).length;
  const before = states();
  here.room.append("m.room.name", CREATOR, { name: "missed" }, "");
  homeserver.send(here.room, CREATOR, "m.room.name", { name: "new" }, "");
  await eventually("the room being loaded again", () => states() > before);
  await untilSettled(here);
  expect([written(here), listedIn(here)]).toEqual([1, []]);
});

test("a new stay is a new try", async () => {
  const here = await scene(50, null, { attendance: { linger: 0 } });
  await here.enter();
  await eventually("its being listed", () => written(here) > 0);
  await here.leave();
  here.room.append(FUNCTIONAL_MEMBERS, CREATOR, { service_members: [] }, "");
  await here.enter();
  await eventually("its being listed again", () => written(here) > 1);
});

test("a homeserver that refuses changes nothing but the log", async () => {
  const here = await scene(50);
  const refusal = { status: 403, body: { errcode: "M_FORBIDDEN", error: "You may not." } };
  here.service.homeserver.fault("PUT", WRITES, refusal);
  await here.enter();
  await eventually("the log", () => here.service.log.events("info").includes("room.functional-member-failed"));
  expect(here.service.log.text).toContain("M_FORBIDDEN: You may not.");
  expect(await here.service.room(here.room.id)).toMatchObject({ phase: "present", load: "loaded" });
});

test("the operator's reason stands in the pseudouser's joins", async () => {
  const here = await scene(0, null, { attendance: { joinReason: "Users of hs.test read along." } });
  await here.enter();
  const [join] = here.service.homeserver.seen("POST", /\/join\//);
  expect(join?.body).toEqual({ reason: "Users of hs.test read along." });
});
