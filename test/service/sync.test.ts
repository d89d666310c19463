/** `/sync` over HTTP: what bots rest on that were written for a homeserver. */
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/model/json.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import type { FakeEvent, FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { eventually, PSEUDOUSER, type Service, type TenantClient } from "../support/service-app.ts";
import { tenantsInARoom } from "../support/tenants-in-a-room.ts";

const GHOST = `@ghost_1:${SERVER}`;
const ALICE = "@alice:elsewhere.test";

async function scene(members: readonly string[] = [ALICE, "@bob:elsewhere.test"]) {
  const here = await tenantsInARoom({ bot: { users: `@ghost_.*:${SERVER}` } }, { room: { members } });
  return { ...here, homeserver: here.service.homeserver };
}

async function sync(bot: TenantClient, query: Readonly<Record<string, string | JsonObject>> = {}): Promise<JsonObject> {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    parameters.set(name, typeof value === "string" ? value : JSON.stringify(value));
  }
  const answer = await bot.ask("GET", `/sync?${parameters.toString()}`);
  expect([answer.status, answer.raw.toString().slice(0, 200)]).toEqual([
    200,
    expect.stringContaining('{"next_batch":"'),
  ]);
  return answer.body;
}

const next = (answer: JsonObject): string => answer["next_batch"] as string;

interface Told {
  readonly state: { readonly events: readonly FakeEvent[] };
  readonly timeline: { readonly events: readonly FakeEvent[]; readonly limited: boolean; readonly prev_batch: string };
  readonly summary: JsonObject;
}

function told(answer: JsonObject, room: FakeRoom, kind: "join" | "leave" = "join"): Told {
  return ((answer["rooms"] as JsonObject)[kind] as JsonObject)[room.id] as unknown as Told;
}

const idsOf = (events: readonly FakeEvent[]): string[] => events.map(({ event_id: id }) => id);
const membersOf = (events: readonly FakeEvent[]): unknown[] =>
  events.filter(({ type }) => type === "m.room.member").map((event) => event["state_key"]);

async function heads(bot: TenantClient, { id }: FakeRoom): Promise<readonly [joined: number, listed: unknown[]]> {
  const at = `/rooms/${encodeURIComponent(id)}`;
  const { joined } = (await bot.ask("GET", `${at}/joined_members`)).body as { joined: JsonObject };
  const { chunk } = (await bot.ask("GET", `${at}/members`)).body as unknown as { chunk: FakeEvent[] };
  return [Object.keys(joined).length, membersOf(chunk)];
}

test("a bot that comes back with its token and asks for the full state has all of it at once", async () => {
  const { bot, room, homeserver, service } = await scene();
  expect((await bot.as(GHOST).join(room.id)).status).toBe(200);
  const since = next(await sync(bot));
  const asked = performance.now();
  const answer = told(await sync(bot, { since, full_state: "true", timeout: "30000" }), room);
  // The service's time goes by twenty times as fast as ours: 30 seconds are 1.5.
  expect(performance.now() - asked).toBeLessThan(1_200);
  const [joined, listed] = await heads(bot, room);
  expect(membersOf(answer.state.events).sort()).toEqual(listed.sort());
  expect(answer.summary).toMatchObject({ "m.joined_member_count": joined, "m.invited_member_count": 0 });
  expect(answer.summary["m.heroes"]).toContain(GHOST);
  expect(JSON.stringify(answer)).not.toContain(`"${PSEUDOUSER}"`);
  expect(answer.timeline).toMatchObject({ events: [], limited: false });
  // Who comes later is counted likewise.
  homeserver.setMembership(room, "@carol:elsewhere.test", "join");
  homeserver.setMembership(room, "@dan:elsewhere.test", "invite", ALICE);
  await service.untilDelivered();
  const later = told(await sync(bot, { since }), room);
  expect(later.summary).toMatchObject({
    "m.joined_member_count": (await heads(bot, room))[0],
    "m.invited_member_count": 1,
  });
});

test("members are loaded lazily where that is asked for, by a filter's ID or in the request", async () => {
  const { bot, room, homeserver, service } = await scene(
    Array.from({ length: 12 }, (_, nr) => `@user${nr}:elsewhere.test`),
  );
  const filter = { room: { state: { lazy_load_members: true } } };
  const path = `/user/${encodeURIComponent(bot.sender)}/filter`;
  const { filter_id: id } = (await bot.ask("POST", path, filter)).body as { filter_id: string };
  expect((await bot.ask("GET", `${path}/${id}`)).body).toEqual(filter);
  expect((await bot.ask("GET", `${path}/17`)).status).toBe(404);
  const all = told(await sync(bot), room);
  expect(membersOf([...all.state.events, ...all.timeline.events])).toHaveLength((await heads(bot, room))[1].length);
  const answer = await sync(bot, { filter: id });
  expect(membersOf(told(answer, room).state.events).length).toBeLessThan(8);
  const said = homeserver.say(room, "@user11:elsewhere.test", "hello");
  await service.untilDelivered();
  const later = told(await sync(bot, { since: next(answer), filter }), room);
  expect(idsOf(later.timeline.events)).toEqual([said.event_id]);
  expect(membersOf(later.state.events)).toEqual(["@user11:elsewhere.test"]);
});

test("a filter that another server gave filters nothing; one that is no filter is refused", async () => {
  const { bot, room } = await scene();
  expect(told(await sync(bot, { filter: "17" }), room).state.events.length).toBeGreaterThan(3);
  for (const filter of ["{", "{]}"]) {
    const { status, body } = await bot.ask("GET", `/sync?filter=${encodeURIComponent(filter)}`);
    expect([status, body["errcode"]]).toEqual([400, "M_INVALID_PARAM"]);
  }
});

test("tokens of a sync are places in the history, both ways, and for its members", async () => {
  const { bot, room, homeserver, service } = await scene();
  const said = [];
  const at = `/rooms/${encodeURIComponent(room.id)}`;
  for (let nr = 0; nr < 3; nr += 1) said.push(homeserver.say(room, ALICE, `before ${nr}`).event_id);
  await service.untilDelivered();
  const since = next(await sync(bot));
  const page = async (query: Record<string, string>): Promise<string[]> => {
    const { status, body } = await bot.ask("GET", `${at}/messages?${new URLSearchParams(query).toString()}`);
    expect(status).toBe(200);
    return idsOf(body["chunk"] as FakeEvent[]);
  };
  expect(await page({ dir: "b", from: since, limit: "3" })).toEqual(said.toReversed());
  expect(await page({ dir: "f", from: since })).toEqual([]);
  const later = [homeserver.say(room, ALICE, "after"), homeserver.say(room, ALICE, "and more")].map((e) => e.event_id);
  homeserver.say(homeserver.makeRoom(), ALICE, "elsewhere");
  await service.untilDelivered();
  expect(await page({ dir: "b", from: since, limit: "3" })).toEqual(said.toReversed());
  expect(await page({ dir: "f", from: since })).toEqual(later);
  expect(await page({ dir: "b", to: since })).toEqual(later.toReversed());
  const step = told(await sync(bot, { since, filter: { room: { timeline: { limit: 1 } } } }), room);
  expect([step.timeline.limited, idsOf(step.timeline.events)]).toEqual([true, [later[1]]]);
  expect(await page({ dir: "b", from: step.timeline.prev_batch, to: since })).toEqual([later[0]]);
  // A place that nobody knows any more, and another homeserver's token, which is none of ours to read.
  expect(await page({ dir: "b", from: "e999_1_lost", limit: "1" })).toEqual([later[1]]);
  expect(await page({ dir: "b", from: "s1", limit: "1" })).toHaveLength(0);
  expect((await bot.ask("GET", `${at}/members?at=${since}&not_membership=leave`)).status).toBe(200);
  expect(
    homeserver
      .seen("GET", /\/members$/)
      .at(-1)
      ?.query.get("at"),
  ).toBeNull();
});

test("a token of another server, and what is none, begin anew", async () => {
  const { bot, room } = await scene();
  for (const since of ["s72594_4483_1934", "garbage", ""]) {
    expect(told(await sync(bot, { since, timeout: "30000" }), room).state.events.length).toBeGreaterThan(3);
  }
});

test("a bot that is put out has what was said before, and by whom it was put out", async () => {
  const { bot, room, homeserver, service } = await scene();
  const since = next(await sync(bot));
  const said = homeserver.say(room, ALICE, "out with you");
  const kick = homeserver.send(room, ALICE, "m.room.member", { membership: "leave", reason: "out" }, PSEUDOUSER);
  await service.untilDelivered();
  const answer = await sync(bot, { since });
  expect(told(answer, room)).toBeUndefined();
  expect(idsOf(told(answer, room, "leave").timeline.events)).toEqual([said.event_id, kick.event_id]);
  expect(told(answer, room, "leave").timeline.events[1]).toMatchObject({ sender: ALICE, state_key: bot.sender });
});

test("own events have the transaction ID that they were sent with, and another tenant's have none", async () => {
  const { bot, room, service } = await scene();
  const other = await service.tenant("other");
  await other.join(room.id);
  const [since, others] = [next(await sync(bot)), next(await sync(other))];
  const sent = (await bot.send(room.id, { msgtype: "m.text", body: "hello" }, { txn: "m17" })).body["event_id"];
  await service.untilDelivered();
  const mine = told(await sync(bot, { since }), room).timeline.events;
  expect(mine).toMatchObject([{ event_id: sent, sender: bot.sender, unsigned: { transaction_id: "m17" } }]);
  expect(JSON.stringify(await sync(other, { since: others }))).not.toContain("m17");
});

describe("invites", () => {
  test("that are open are told at first, to whom they are for alone", async () => {
    const { service, homeserver, bot } = await scene();
    const other = await service.tenant("other");
    const room = homeserver.makeRoom({ joinRule: "invite" });
    homeserver.send(room, ALICE, "m.room.member", { membership: "invite", reason: "bot" }, PSEUDOUSER);
    await service.untilDelivered();
    const invite = (answer: JsonObject): JsonObject => (answer["rooms"] as JsonObject)["invite"] as JsonObject;
    expect(Object.keys(invite(await sync(bot)))).toEqual([room.id]);
    expect(JSON.stringify(invite(await sync(bot))[room.id])).toContain(`"state_key":"${bot.sender}"`);
    expect(invite(await sync(other))).toEqual({});
    expect((await bot.join(room.id)).status).toBe(200);
    expect(invite(await sync(bot))).toEqual({});
  });

  test("of personas are of no room that was joined", async () => {
    const { service, homeserver, bot } = await scene();
    homeserver.registered.add(GHOST);
    const room = homeserver.makeRoom({ joinRule: "invite" });
    const since = next(await sync(bot));
    homeserver.setMembership(room, GHOST, "invite", ALICE);
    await service.untilDelivered();
    for (const answer of [await sync(bot, { since }), await sync(bot)]) {
      expect(told(answer, room)).toBeUndefined();
      expect((answer["rooms"] as JsonObject)["invite"]).toHaveProperty([room.id]);
    }
  });
});

/** A sync of which nothing is read yet. */
async function opened(service: Service, bot: TenantClient): Promise<IncomingMessage> {
  const asked = request({
    host: "127.0.0.1",
    port: service.app.ports.gateway,
    path: "/_matrix/client/v3/sync",
    headers: { authorization: `Bearer ${bot.token}` },
    agent: false,
  });
  asked.end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  return answer;
}

describe("a room of very many members", () => {
  const many = Array.from({ length: 60_000 }, (_, nr) => `@user${nr}-${"x".repeat(80)}:elsewhere.test`);

  test("passes through whole, and waits at the homeserver for who does not read", async () => {
    const { service, bot, homeserver } = await scene(many);
    const answer = await opened(service, bot);
    let before = -1;
    await eventually("the stream standing still", async () => {
      const still = before === homeserver.streamed;
      before = homeserver.streamed;
      await new Promise((resolve) => setTimeout(resolve, 200));
      return still;
    });
    expect(homeserver.streamed).toBeLessThan(16 * 1024 * 1024);
    const chunks: Buffer[] = [];
    for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
    const rooms = (JSON.parse(Buffer.concat(chunks).toString()) as JsonObject)["rooms"] as JsonObject;
    const [room] = Object.values(rooms["join"] as JsonObject) as unknown as Told[];
    expect(membersOf([...room!.state.events, ...room!.timeline.events])).toHaveLength(60_002);
    expect(room?.summary["m.joined_member_count"]).toBe(60_002);
  }, 60_000);
});

test("a homeserver that breaks off is no state: the answer ends, and the next one has all", async () => {
  const { bot, room, homeserver } = await scene();
  homeserver.fault("GET", /\/state$/, { cutAfter: 300 });
  const broken = await bot.ask("GET", "/sync").catch(() => null);
  expect(broken === null || broken.status === 502).toBe(true);
  homeserver.fault("GET", /\/state$/, "close");
  expect((await bot.ask("GET", "/sync")).status).toBe(502);
  expect(told(await sync(bot), room).state.events.length).toBeGreaterThan(3);
});
