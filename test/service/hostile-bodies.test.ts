/**
 * What others write, to every endpoint that there is: each answer is a success or a Matrix error that is theirs, never a failure of
 * ours, and the log tells of none. New endpoints are in their tables, and so are asked, too.
 */
import { expect, test } from "vitest";
import { ENDPOINTS } from "../../src/tenants/act/routes.ts";
import { PEEK_ENDPOINTS } from "../../src/peek/routes.ts";
import type { JsonObject } from "../../src/model/json.ts";
import { CLIENT_V3 } from "../../src/http/client-paths.ts";
import { HS_TOKEN, SERVER } from "../support/fake-homeserver.ts";
import {
  ADMIN_TOKEN,
  ask,
  eventually,
  PSEUDOUSER,
  startService,
  type Answer,
  type Service,
} from "../support/service-app.ts";

const nested = (depth: number): string => `${'{"a":['.repeat(depth / 2)}1${"]}".repeat(depth / 2)}`;
const NUL = String.raw`\u0000`;
const LONE = String.raw`\ud800`;

/** Bodies by what is wrong with them. */
const BODIES: Readonly<Record<string, string | Buffer>> = {
  nothing: "",
  "20,000 deep": nested(20_000),
  "6,000 deep": nested(6_000),
  "998 deep": nested(998),
  "lists 12,000 deep": `{"a":${"[".repeat(6_000)}${"]".repeat(6_000)}}`,
  "never closed": '{"a":'.repeat(1_000),
  "a list": "[]",
  "no JSON": "}{",
  "no UTF-8": Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
  "a prototype's names": '{"__proto__":{"a":1},"constructor":{"prototype":{"a":1}},"toString":1,"hasOwnProperty":null}',
  "keys twice": '{"room_id":1,"room_id":{},"user_id":[],"user_id":null,"membership":"join","membership":{}}',
  "numbers without end": `{"timeout":1e400,"limit":-1e400,"events_default":1e308,"x":${"9".repeat(400)}}`,
  "thousands of keys": `{${Array.from({ length: 800 }, (_, n) => `"k${n}":${n}`).join()}}`,
  "wrong types": JSON.stringify(
    Object.fromEntries(
      [
        "users",
        "invite",
        "user_id",
        "room_alias_name",
        "creation_content",
        "power_level_content_override",
        "initial_state",
        "reason",
        "displayname",
        "avatar_url",
        "membership",
        "new_version",
        "room_id",
        "typing",
        "presence",
        "event_id",
        "redacts",
        "m.relates_to",
        "m.new_content",
        "messages",
        "username",
        "type",
        "alias",
        "via",
        "transaction_id",
        "filter",
      ].map((key, n) => [key, [[{}], { a: [] }, 1, null, [null]][n % 5]]),
    ),
  ),
  "half characters and NULs": `{"user_id":"@${NUL}:${SERVER}","membership":"${LONE}","displayname":"${LONE}${NUL}","reason":"${LONE}","name":"${NUL}","room_id":"!${LONE}","username":"${NUL}","room_alias_name":"${LONE}"}`,
  "long texts": `{"displayname":"${"x".repeat(12_000)}","reason":"${"é".repeat(1_000)}"}`,
};

const PARAMS: Readonly<Record<string, string>> = {
  userId: encodeURIComponent(PSEUDOUSER),
  eventType: "com.example",
  stateKey: "",
  txnId: "1",
  eventId: "$event",
  receiptType: "m.read",
  keyName: "displayname",
  serverName: SERVER,
  mediaId: "abc",
  deviceId: "DEVICE",
  version: "1",
};

function pathFor(path: string, room: string): string {
  const named: Readonly<Record<string, string>> = {
    ...PARAMS,
    roomId: encodeURIComponent(room),
    roomIdOrAlias: encodeURIComponent(room),
    alias: encodeURIComponent(`#a:${SERVER}`),
    roomAlias: encodeURIComponent(`#a:${SERVER}`),
  };
  return path.replace(/:(\w+)/g, (_, name: string) => named[name] ?? "x");
}

async function scene(): Promise<{ service: Service; room: string; token: string }> {
  const service = await startService({ settings: { gateway: { frontDoor: true }, peek: { wait: 1_000 } } });
  const room = service.homeserver.makeRoom({ creator: `@alice:${SERVER}`, joinRule: "public" });
  const one = await service.tenant(
    "one",
    ["read", "send", "redact", "state", "room-state", "create", "invite"],
    "@_one_.*",
  );
  expect((await one.join(room.id)).status).toBe(200);
  return { service, room: room.id, token: one.token };
}

/** Nothing of ours failed. What the homeserver says of its own is not ours. */
function expectTheirs(asked: string, { status, body, raw }: Answer): void {
  const text = raw.toString("utf8");
  expect([asked, status >= 500 ? `${status} ${text}` : "no failure"]).toEqual([asked, "no failure"]);
  expect([asked, text]).toEqual([asked, expect.not.stringMatching(/\bat .*\.ts:\d+|RangeError|TypeError/)]);
  if (status >= 400) expect([asked, typeof body["errcode"]]).toEqual([asked, "string"]);
}

function expectCalm({ log }: Service): void {
  expect(log.entries.filter(({ level }) => level === "error")).toEqual([]);
}

test.each(Object.entries(BODIES))(
  "no endpoint of the Act API fails at %s",
  { timeout: 60_000 },
  async (_what, body) => {
    const { service, room, token } = await scene();
    for (const { method, path, under = CLIENT_V3 } of ENDPOINTS) {
      if (path === "/sync" || path === "/events") continue;
      const target = `${under[0]}${pathFor(path, room)}`;
      expectTheirs(
        `${method} ${path}`,
        await service.gateway(method, target, { token, ...(method === "GET" ? {} : { body }) }),
      );
    }
    expectCalm(service);
  },
);

test.each(Object.entries(BODIES))(
  "no endpoint of the Peek API fails at %s",
  { timeout: 60_000 },
  async (_what, body) => {
    const { service, room } = await scene();
    for (const { method, path, under } of PEEK_ENDPOINTS) {
      if (path === "/sync" || path === "/events") continue;
      const target = `${under[0] ?? ""}${pathFor(path, room)}`;
      expectTheirs(
        `${method} ${path}`,
        await service.gateway(method, target, { token: "token-of-alice", ...(method === "GET" ? {} : { body }) }),
      );
    }
    expectCalm(service);
  },
);

test.each(Object.entries(BODIES))("neither the admin API nor intake fails at %s", async (_what, body) => {
  const { service, room } = await scene();
  const admin: readonly (readonly [string, string])[] = [
    ["POST", "/tenants"],
    ["POST", "/tenants/one/grants"],
    ["POST", "/tenants/one/pause"],
    ["POST", "/tenants/one/resume"],
    ["POST", "/tenants/one/ping"],
    ["POST", "/tenants/one/replay"],
    ["POST", `/rooms/${encodeURIComponent(room)}/join`],
    ["POST", `/rooms/${encodeURIComponent(room)}/leave`],
    ["POST", "/policy/rules"],
    ["POST", "/aliases/sweep"],
    ["POST", `/aliases/${encodeURIComponent(`#a:${SERVER}`)}/repair`],
    ["POST", "/backup"],
  ];
  for (const [method, path] of admin) {
    const answer = await ask(service.app.ports.admin, method, `/_emissary/v1${path}`, { token: ADMIN_TOKEN, body });
    expectTheirs(`${method} ${path}`, answer);
  }
  for (const [method, path] of [
    ["PUT", "/_matrix/app/v1/transactions/t1"],
    ["PUT", "/transactions/t2"],
    ["POST", "/_matrix/app/v1/ping"],
  ] as const) {
    expectTheirs(`${method} ${path}`, await service.intake(method, path, { token: HS_TOKEN, body }));
  }
  expectCalm(service);
});

test("a body that is nested 20,000 deep is refused with a sentence, and so everywhere", async () => {
  const { service, room, token } = await scene();
  for (const { method, path, under = CLIENT_V3, how } of ENDPOINTS) {
    if (method !== "PUT" || how !== "passed" || !path.includes("/send/")) continue;
    const answer = await service.gateway(method, `${under[0]}${pathFor(path, room)}`, { token, body: nested(20_000) });
    expect([answer.status, answer.body["errcode"], answer.body["error"]]).toEqual([
      400,
      "M_BAD_JSON",
      "The body is nested more than 500 deep.",
    ]);
  }
});

/** A remote user's membership with so much in it, as its server may make one; and what reads it. */
test.each([10, 500, 999, 1_001, 5_000, 20_000, 100_000])(
  "a member whose event is nested %i deep changes nothing for others",
  { timeout: 60_000 },
  async (depth) => {
    const { service, room, token } = await scene();
    const hidden = `@deep:elsewhere.test`;
    const event = (id: string, user: string, deep: string): string =>
      `{"type":"m.room.member","event_id":"${id}","room_id":"${room}","sender":"${user}","state_key":"${user}","origin_server_ts":1,"content":{"membership":"join","deep":${deep}}}`;
    const list = `[${"[".repeat(depth - 4)}${"]".repeat(depth - 4)}]`;
    const before = event("$before", `@before:elsewhere.test`, "1");
    const after = event("$after", `@after:elsewhere.test`, "1");
    const body = `{"events":[${before},${event("$deep", hidden, list)},${after}],"ephemeral":[{"type":"m.typing","room_id":"${room}","content":{"user_ids":[],"deep":${list}}}]}`;
    expect((await service.transaction("deep", body)).status).toBe(200);
    expect(service.journal().slice(-3)).toEqual(["$before", "$deep", "$after"]);
    const { body: told } = await service.admin("GET", `/rooms/${encodeURIComponent(room)}/members?limit=100`);
    expect((told["members"] as JsonObject[]).map(({ user_id }) => user_id)).toContain(hidden);

    // What the tenant is brought: all three, in order.
    const since = await service.gateway("GET", "/_matrix/client/v3/sync", { token });
    expect(since.status).toBe(200);
    expect((await service.transaction("deep2", body.replaceAll('"$', '"$2'))).status).toBe(200);
    const next = since.body["next_batch"] as string;
    const news = await service.gateway("GET", `/_matrix/client/v3/sync?since=${next}`, { token });
    expect(news.status).toBe(200);
    const rooms = news.body["rooms"] as { join: Record<string, { timeline: { events: JsonObject[] } }> };
    expect(rooms.join[room]!.timeline.events.map(({ event_id }) => event_id)).toEqual([
      "$2before",
      "$2deep",
      "$2after",
    ]);

    // What the homeserver answers with such an event in it.
    const chunk = `{"chunk":[${before},${event("$deep", hidden, list)}],"start":"s"}`;
    for (const [path, text] of [
      ["members", chunk],
      ["joined_members", `{"joined":{"${hidden}":{"display_name":"x","deep":${list}}}}`],
      ["messages", chunk],
      ["state", `[${before},${event("$deep", hidden, list)}]`],
    ] as const) {
      const target = `/_matrix/client/v3/rooms/${encodeURIComponent(room)}/${path}`;
      for (const asker of [token, "token-of-alice"]) {
        service.homeserver.fault("GET", new RegExp(`/${path}$`), { text, status: 200 });
        const answer = await service.gateway("GET", target, { token: asker });
        expect([path, answer.status]).toEqual([path, 200]);
        expect(answer.raw.toString("utf8")).toContain(hidden);
      }
    }
    await eventually("delivery being looked at", () =>
      service.homeserver.requests.some(({ url }) => url.includes("/messages")),
    );
    expect(service.app.ports.admin).toBeGreaterThan(0);
    expectCalm(service);
  },
);
