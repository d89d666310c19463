/** One event for one transaction ID, whatever the homeserver remembers of it. */
import { expect, test } from "vitest";
import { SERVER } from "../support/fake-homeserver.ts";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { fakeHomeserver, gate, startService, type Service } from "../support/service-app.ts";
import { enterRoom, type Scene } from "../support/tenants-in-a-room.ts";

const TEXT = { msgtype: "m.text", body: "once" };

function scene(service: Service): Promise<Scene<"one">> {
  return enterRoom(service, { one: { actions: ["read", "send", "redact"], users: `@_one_.*:${SERVER}` } });
}

const messages = (room: FakeRoom): number => room.timeline.filter(({ type }) => type === "m.room.message").length;

test.each([true, false])(
  "a repetition is the same event after restarts of both sides, where the homeserver gives devices: %s",
  async (givesDevices) => {
    const homeserver = await fakeHomeserver();
    homeserver.givesDevices = givesDevices;
    const service = await startService({ homeserver });
    const { room, one, base } = await scene(service);
    const first = await one.send(room.id, TEXT, { txn: "m1" });
    const redact = `${base}/redact/${encodeURIComponent(first.body["event_id"] as string)}/r1`;
    const redacted = await one.ask("PUT", redact, {});
    expect([first.status, redacted.status]).toEqual([200, 200]);
    homeserver.forgetTransactions();
    expect((await one.send(room.id, TEXT, { txn: "m1" })).body).toEqual(first.body);
    await service.app.stop();
    const next = await startService({ homeserver, sqlite: service.config.storage.sqlite });
    homeserver.forgetTransactions();
    const again = one.at(next);
    expect((await again.send(room.id, TEXT, { txn: "m1" })).body).toEqual(first.body);
    expect((await again.ask("PUT", redact, {})).body).toEqual(redacted.body);
    expect(messages(room)).toBe(1);
    expect(room.timeline.filter(({ type }) => type === "m.room.redaction")).toHaveLength(1);
  },
);

test("where the program ends between the homeserver's answer and its own, the device has the homeserver remember", async () => {
  const service = await startService();
  const { homeserver } = service;
  const { room, one } = await scene(service);
  // As if nothing had been written of it.
  homeserver.fault("PUT", /\/send\//, { cutAfter: 5 });
  expect((await one.send(room.id, TEXT, { txn: "m1" })).status).toBe(502);
  homeserver.forgetTransactions();
  expect((await one.send(room.id, TEXT, { txn: "m1" })).status).toBe(200);
  expect(messages(room)).toBe(1);
});

test("a repetition that comes while the first is under way is the same event", async () => {
  const service = await startService();
  service.homeserver.givesDevices = false;
  const { room, one } = await scene(service);
  const { opened, open } = gate();
  service.homeserver.fault("PUT", /\/send\//, { waitFor: opened });
  const first = one.send(room.id, TEXT, { txn: "m1" });
  const second = one.send(room.id, TEXT, { txn: "m1" });
  open();
  expect((await second).body).toEqual((await first).body);
  expect(service.homeserver.seen("PUT", /\/send\//)).toHaveLength(1);
});

test("one ID for each endpoint, room, type and persona is another event", async () => {
  const service = await startService();
  const { room, one, base } = await scene(service);
  const other = service.homeserver.makeRoom();
  expect((await one.join(other.id)).status).toBe(200);
  const cat = one.as(`@_one_cat:${SERVER}`);
  expect((await cat.join(room.id)).status).toBe(200);
  const [first, second] = [await one.send(room.id, TEXT, { txn: "1" }), await cat.send(room.id, TEXT, { txn: "1" })];
  const eventIds = [
    first,
    second,
    await one.send(other.id, TEXT, { txn: "1" }),
    await one.send(room.id, { a: 1 }, { txn: "1", type: "com.example.other" }),
    await one.ask("PUT", `${base}/redact/${encodeURIComponent(first.body["event_id"] as string)}/1`, {}),
    await one.ask("PUT", `${base}/redact/${encodeURIComponent(second.body["event_id"] as string)}/1`, {}),
  ].map(({ body }) => body["event_id"]);
  expect(new Set(eventIds).size).toBe(6);
  expect(eventIds).not.toContain(undefined);
});

test("a device that the homeserver has lost is made again, for writes and for reads", async () => {
  const service = await startService();
  const { homeserver } = service;
  const { room, one, base } = await scene(service);
  homeserver.ownDevices.clear();
  expect((await one.send(room.id, TEXT, { txn: "m1" })).status).toBe(200);
  homeserver.ownDevices.clear();
  expect((await one.ask("GET", `${base}/messages?dir=b`)).status).toBe(200);
  expect([...homeserver.ownDevices]).toEqual(["EMISSARY"]);
  expect(
    homeserver
      .seen("PUT", /\/send\//)
      .at(-1)
      ?.query.get("device_id"),
  ).toBe("EMISSARY");
});
