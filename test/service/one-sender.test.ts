/** What a homeserver allows a sender once, or holds for a sender, where all tenants' users have one. */
import { describe, expect, test } from "vitest";
import { isJsonObject, stringAt, type JsonObject } from "../../src/model/json.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import {
  eventually,
  PSEUDOUSER,
  startService,
  TenantClient,
  type Answer,
  type Service,
} from "../support/service-app.ts";
import { TenantListener } from "../support/tenant-listener.ts";

const CAT = `@_one_cat:${SERVER}`;
const DOG = `@_one_dog:${SERVER}`;
const ALICE = "@alice:elsewhere.test";

async function tenant(service: Service, id: string, listener: TenantListener): Promise<TenantClient> {
  const wish = {
    id,
    url: listener.url,
    users: `@_${id}_.*:${SERVER}`,
    actions: ["read", "send", "redact"],
    ephemeral: true,
  };
  const { body } = await service.admin("POST", "/tenants", wish);
  const { tenant: made, registration } = body;
  if (!isJsonObject(made) || !isJsonObject(registration)) throw new Error(JSON.stringify(body));
  return new TenantClient(service, id, stringAt(made, "sender")!, stringAt(registration, "as_token")!);
}

async function scene() {
  const service = await startService();
  const room = service.homeserver.makeRoom();
  const [oneListener, twoListener] = [await new TenantListener().listen(), await new TenantListener().listen()];
  const one = await tenant(service, "one", oneListener);
  const two = await tenant(service, "two", twoListener);
  for (const each of [one, two]) expect((await each.join(room.id)).status).toBe(200);
  await service.untilRoom(room.id, { load: "loaded" });
  const target = service.homeserver.say(room, ALICE, "like this").event_id;
  const base = `/rooms/${encodeURIComponent(room.id)}`;
  return { service, room, one, two, oneListener, twoListener, target, base };
}

const like = (target: string): JsonObject => ({
  "m.relates_to": { rel_type: "m.annotation", event_id: target, key: "👍" },
});
const outcome = ({ status, body }: Answer): unknown[] => [status, body["errcode"]];

interface Told {
  readonly event_id: string;
  readonly sender: string;
  readonly type: string;
  readonly content: JsonObject;
  readonly redacts?: string;
}

function told(listener: TenantListener, type: string): Told[] {
  const events = listener.transactions.flatMap(({ body }) => body["events"] as unknown as Told[]);
  return [...new Map(events.map((event) => [event.event_id, event])).values()].filter((event) => event.type === type);
}

describe("the same reaction of several users", () => {
  const react = async (by: TenantClient, room: string, target: string, txn = ""): Promise<string> => {
    const answer = await by.send(room, like(target), { type: "m.reaction", txn });
    expect(outcome(answer)).toEqual([200, undefined]);
    return answer.body["event_id"] as string;
  };

  test("counts for each of them, for all tenants, and goes with the last that takes it back", async () => {
    const { service, room, one, two, oneListener, twoListener, target, base } = await scene();
    const [cat, dog, third] = [
      await react(one.as(CAT), room.id, target, "1"),
      await react(one.as(DOG), room.id, target, "1"),
      await react(two, room.id, target, "1"),
    ];
    expect(new Set([cat, dog, third]).size).toBe(3);
    expect(room.timeline.filter(({ type }) => type === "m.reaction")).toHaveLength(1);
    await eventually("all reactions", () =>
      [oneListener, twoListener].every((l) => told(l, "m.reaction").length === 3),
    );
    const senders = (l: TenantListener) => told(l, "m.reaction").map(({ event_id: id, sender }) => [id, sender]);
    expect(senders(oneListener)).toEqual([
      [cat, CAT],
      [dog, DOG],
      [third, PSEUDOUSER],
    ]);
    expect(senders(twoListener)).toEqual([
      [cat, PSEUDOUSER],
      [dog, PSEUDOUSER],
      [third, two.sender],
    ]);
    expect(told(oneListener, "m.reaction")[1]?.content).toEqual(like(target));
    // Repeated, and a second of the same user's.
    expect(await react(one.as(DOG), room.id, target, "1")).toBe(dog);
    expect(outcome(await one.as(DOG).send(room.id, like(target), { type: "m.reaction" }))).toEqual([
      400,
      "M_DUPLICATE_ANNOTATION",
    ]);
    expect(outcome(await one.as(CAT).send(room.id, like(target), { type: "m.reaction" }))).toEqual([
      400,
      "M_DUPLICATE_ANNOTATION",
    ]);

    const redact = (by: TenantClient, eventId: string, txn: string) =>
      by.ask("PUT", `${base}/redact/${encodeURIComponent(eventId)}/${txn}`, {});
    expect(outcome(await redact(two, dog, "x"))).toEqual([403, "M_FORBIDDEN"]);
    // The homeserver's own first: it stays.
    const first = await redact(one.as(CAT), cat, "r1");
    expect(outcome(first)).toEqual([200, undefined]);
    expect((await redact(one.as(CAT), cat, "r1")).body).toEqual(first.body);
    expect((await redact(one.as(CAT), cat, "r2")).status).toBe(200);
    expect(outcome(await redact(two, cat, "x2"))).toEqual([403, "M_FORBIDDEN"]);
    expect(outcome(await redact(two, third, "r1"))).toEqual([200, undefined]);
    expect(room.timeline.filter(({ type }) => type === "m.room.redaction")).toHaveLength(0);
    expect(outcome(await redact(one, dog, "r3"))).toEqual([200, undefined]);
    expect(room.timeline.filter(({ type }) => type === "m.room.redaction")).toHaveLength(1);
    expect(room.event(cat)?.content).toEqual({});
    await eventually("all redactions", () => told(twoListener, "m.room.redaction").length >= 4);
    const gone = new Set(
      told(twoListener, "m.room.redaction").map(({ redacts, content }) => redacts ?? content["redacts"]),
    );
    expect(gone).toEqual(new Set([cat, dog, third]));
    expect(service.query("SELECT * FROM shared_annotations")).toEqual([]);
    // All is as before: the next one is the homeserver's again.
    expect(await react(one.as(DOG), room.id, target)).not.toContain("emissary");
  });

  test("is told as gone where a moderator takes the homeserver's away", async () => {
    const { service, room, one, oneListener, target } = await scene();
    const cat = await react(one.as(CAT), room.id, target);
    const dog = await react(one.as(DOG), room.id, target);
    await service.untilDelivered();
    service.homeserver.sender.push(room.redact(cat, ALICE, {}));
    await eventually("the other's end", () =>
      told(oneListener, "m.room.redaction").some(({ redacts }) => redacts === dog),
    );
    expect(service.query("SELECT * FROM shared_annotations")).toEqual([]);
  });

  test("stays where another room's redaction names it", async () => {
    const { service, room, one, oneListener, target } = await scene();
    const cat = await react(one.as(CAT), room.id, target);
    await react(one.as(DOG), room.id, target);
    const other = service.homeserver.makeRoom();
    expect((await one.join(other.id)).status).toBe(200);
    await service.untilDelivered();
    const event = { event_id: "$elsewhere", room_id: other.id, sender: ALICE, origin_server_ts: 1 };
    const redaction = { ...event, type: "m.room.redaction", redacts: cat, content: { redacts: cat } };
    expect((await service.transaction("elsewhere", { events: [redaction] })).status).toBe(200);
    await eventually("the redaction", () => oneListener.events.includes("$elsewhere"));
    service.homeserver.say(other, ALICE, "later");
    await eventually("what came later", () => told(oneListener, "m.room.message").length > 0);
    expect(told(oneListener, "m.room.redaction").map(({ event_id: id }) => id)).toEqual(["$elsewhere"]);
    expect(service.query("SELECT * FROM shared_annotations")).toHaveLength(2);
  });

  test("is another user's also after a restart", async () => {
    const { service, room, one, target, base } = await scene();
    const cat = await react(one.as(CAT), room.id, target);
    const dog = await react(one.as(DOG), room.id, target);
    await service.app.stop();
    const next = await startService({ homeserver: service.homeserver, sqlite: service.config.storage.sqlite });
    const redacted = await one
      .as(DOG)
      .at(next)
      .ask("PUT", `${base}/redact/${encodeURIComponent(dog)}/1`, {});
    expect(redacted.status).toBe(200);
    expect(room.event(cat)?.content).not.toEqual({});
  });
});

test("one user stops typing while another types: the room sees somebody type until the last stops", async () => {
  const { room, one, two, base } = await scene();
  const type = (by: TenantClient, user: string, typing: boolean, timeout = 30_000) =>
    by.ask("PUT", `${base}/typing/${encodeURIComponent(user)}`, typing ? { typing, timeout } : { typing });
  expect((await type(one.as(CAT), CAT, true)).status).toBe(200);
  expect((await type(two, two.sender, true)).status).toBe(200);
  expect((await type(one.as(CAT), CAT, false)).status).toBe(200);
  expect([...room.typing]).toEqual([PSEUDOUSER]);
  expect((await type(one.as(DOG), DOG, false)).status).toBe(200);
  expect([...room.typing]).toEqual([PSEUDOUSER]);
  expect((await type(two, two.sender, false)).status).toBe(200);
  expect([...room.typing]).toEqual([]);
});

test("receipts are told to the tenant as its users', and private ones to nobody else's", async () => {
  const { service, room, one, oneListener, twoListener, target, base } = await scene();
  const receipts = (l: TenantListener) =>
    l.transactions
      .flatMap(({ body }) => (body["ephemeral"] ?? []) as unknown as { type: string; content: JsonObject }[])
      .filter(({ type }) => type === "m.receipt")
      .map(({ content }) => content);
  for (const [user, type] of [
    [CAT, "m.read"],
    [DOG, "m.read"],
    [DOG, "m.read.private"],
    [CAT, "m.fully_read"],
  ] as const) {
    expect((await one.as(user).ask("POST", `${base}/receipt/${type}/${encodeURIComponent(target)}`, {})).status).toBe(
      200,
    );
  }
  await eventually("three receipts", () => receipts(oneListener).length === 3);
  const users = receipts(oneListener).map((content) =>
    Object.entries(content[target] as JsonObject).map(([type, byUser]) => [type, ...Object.keys(byUser as JsonObject)]),
  );
  expect(users.flat()).toEqual([
    ["m.read", CAT],
    ["m.read", DOG],
    ["m.read.private", DOG],
  ]);
  const ts = { ts: 1 };
  const content = {
    $x: {
      "m.read": { [ALICE]: ts },
      "m.read.private": { [ALICE]: ts, "@_two_x:hs.test": ts, [PSEUDOUSER]: ts },
      "org.matrix.msc2285.read.private": { [ALICE]: ts },
    },
  };
  const { status } = await service.transaction("e1", {
    events: [],
    ephemeral: [{ type: "m.receipt", room_id: room.id, content }],
  });
  expect(status).toBe(200);
  await eventually(
    "the others' receipts",
    () => receipts(oneListener).length === 4 && receipts(twoListener).length === 1,
  );
  expect(receipts(oneListener).at(-1)).toEqual({ $x: { "m.read": { [ALICE]: ts } } });
  expect(receipts(twoListener)).toEqual([
    { $x: { "m.read": { [ALICE]: ts }, "m.read.private": { "@_two_x:hs.test": ts } } },
  ]);
});
