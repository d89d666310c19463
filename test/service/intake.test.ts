/**
 * Intake: what the homeserver sends (spec, application service API). The rule above all others: a 200 means that it is on disk,
 * and whatever is not sound is answered or set aside without losing what stands beside it.
 */
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import type { JsonObject } from "../../src/model/json.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { HS_TOKEN, SERVER } from "../support/fake-homeserver.ts";
import { eventually, PSEUDOUSER, startService, type Service } from "../support/service-app.ts";

const TRANSACTIONS = "/_matrix/app/v1/transactions";

/** An event that nothing is wrong with. */
function message(id: string, more: JsonObject = {}): JsonObject {
  return {
    event_id: `$${id}`,
    room_id: "!room:elsewhere.test",
    type: "m.room.message",
    sender: "@bob:elsewhere.test",
    origin_server_ts: 1,
    content: { body: id },
    ...more,
  };
}

function setAside(service: Service): { txn_id: string; fault: string }[] {
  return service.query("SELECT txn_id, fault FROM set_aside ORDER BY id");
}

test("a transaction is in the database when its 200 arrives", async () => {
  const service = await startService();
  const { status, body } = await service.transaction("1", { events: [message("a"), message("b")] });
  expect(service.journal()).toEqual(["$a", "$b"]);
  expect(status).toBe(200);
  expect(body).toEqual({});
});

test("a transaction sent again changes nothing", async () => {
  const service = await startService();
  for (let round = 0; round < 3; round += 1) {
    expect((await service.transaction("1", { events: [message("a"), { faulty: true }] })).status).toBe(200);
  }
  expect(service.journal()).toEqual(["$a"]);
  expect(setAside(service)).toHaveLength(1);
});

test("a transaction sent again after a restart changes nothing either", async () => {
  const first = await startService();
  await first.transaction("1", { events: [message("a")] });
  await first.app.stop();
  const second = await startService({ homeserver: first.homeserver, sqlite: first.config.storage.sqlite });
  expect((await second.transaction("1", { events: [message("a")] })).status).toBe(200);
  expect((await second.transaction("2", { events: [message("a"), message("b")] })).status).toBe(200);
  expect(second.journal()).toEqual(["$a", "$b"]);
});

test("a known transaction ID with other content is a new transaction, because a homeserver's counter may begin at 1 again", async () => {
  const service = await startService();
  await service.transaction("1", { events: [message("a")] });
  await service.transaction("2", { events: [message("b")] });
  await service.transaction("1", { events: [message("c")] });
  await service.transaction("2", { events: [message("d")] });
  expect(service.journal()).toEqual(["$a", "$b", "$c", "$d"]);
});

test("an event that comes in two transactions, or twice in one, is recorded once", async () => {
  const service = await startService();
  await service.transaction("1", { events: [message("a"), message("a"), message("b")] });
  await service.transaction("2", { events: [message("b"), message("c")] });
  expect(service.journal()).toEqual(["$a", "$b", "$c"]);
});

test("two transactions that arrive at the same moment are both recorded, each once", async () => {
  const service = await startService();
  const both = { events: [message("a"), message("b")] };
  const answers = await Promise.all([
    service.transaction("1", both),
    service.transaction("1", both),
    service.transaction("2", { events: [message("b"), message("c")] }),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(service.journal().sort()).toEqual(["$a", "$b", "$c"]);
});

test("faulty events are set aside and their neighbours kept", async () => {
  const service = await startService();
  const faulty = [
    null,
    "text",
    7,
    [],
    {},
    message("no-room", { room_id: 5 }),
    message("no-sender", { sender: "nobody" }),
    message("no-type", { type: "" }),
    message("no-content", { content: "text" }),
    message("no-time", { origin_server_ts: "yesterday" }),
    message("bad-key", { state_key: 1 }),
    message("bad-unsigned", { unsigned: [] }),
    message("x".repeat(300)),
  ];
  const events = [message("first"), ...faulty, message("last")];
  expect((await service.transaction("1", { events })).status).toBe(200);
  expect(service.journal()).toEqual(["$first", "$last"]);
  expect(setAside(service)).toHaveLength(faulty.length);
  const { body } = await service.admin("GET", "/status");
  expect(body["intake"]).toMatchObject({ events: 2, set_aside: faulty.length });
});

test("a thing nested too deeply to be written again that is no event is set aside, its neighbours kept", async () => {
  const service = await startService();
  const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
  const body = `{"events":[${JSON.stringify(message("a"))},{"event_id":"$deep","x":${deep}},${JSON.stringify(message("b"))}]}`;
  expect((await service.transaction("1", body)).status).toBe(200);
  expect(service.journal()).toEqual(["$a", "$b"]);
});

test("state events whose content is nonsense are recorded and leave the ledger whole", async () => {
  const service = await startService();
  const state = (id: string, type: string, key: string, content: JsonObject): JsonObject =>
    message(id, { type, state_key: key, content });
  const events = [
    state("a", "m.room.member", "not a user", { membership: "join" }),
    state("b", "m.room.member", "@x:elsewhere.test", { membership: "floating" }),
    state("c", "m.room.member", PSEUDOUSER, { membership: ["join"] }),
    state("d", "m.room.name", "", { name: { a: 1 } }),
    state("e", "m.room.tombstone", "", { replacement_room: "nowhere" }),
    state("f", "__proto__", "", { polluted: true }),
    state("g", "constructor", "", {}),
  ];
  expect((await service.transaction("1", { events })).status).toBe(200);
  expect(service.journal()).toHaveLength(7);
});

test.each([
  ["text that is not JSON", "{", 400, "M_NOT_JSON"],
  ["no body", "", 400, "M_NOT_JSON"],
  ["bytes that are no text", Buffer.from([0xff, 0xfe, 0x00]), 400, "M_NOT_JSON"],
  ["a list", "[]", 400, "M_BAD_JSON"],
  ["null", "null", 400, "M_BAD_JSON"],
  ["a number", "5", 400, "M_BAD_JSON"],
  ["events that are no list", '{"events":{}}', 400, "M_BAD_JSON"],
])("a body of %s is answered with a Matrix error", async (_name, body, status, errcode) => {
  const service = await startService();
  const answer = await service.transaction("1", body);
  expect([answer.status, answer.body["errcode"]]).toEqual([status, errcode]);
  expect(answer.body["error"]).toEqual(expect.any(String));
  expect((await service.transaction("2", { events: [message("after")] })).status).toBe(200);
});

test.each(["text/plain", "application/octet-stream", "application/json; charset=utf-8"])(
  "the content type %j does not keep a transaction out",
  async (type) => {
    const service = await startService();
    const headers = { "content-type": type };
    expect((await service.transaction("1", { events: [message("a")] }, { token: HS_TOKEN, headers })).status).toBe(200);
    expect(service.journal()).toEqual(["$a"]);
  },
);

test("the token counts in the header, in the query, and in both where they agree", async () => {
  const service = await startService();
  const given = (header: string | null, query: string | null, id: string) =>
    service.transaction(
      query === null ? id : `${id}?access_token=${query}`,
      { events: [message(id)] },
      { token: header },
    );
  const outcomes = [
    await given(HS_TOKEN, null, "header"),
    await given(null, HS_TOKEN, "query"),
    await given(HS_TOKEN, HS_TOKEN, "both"),
    await given(null, null, "none"),
    await given("wrong", null, "wrong-header"),
    await given(null, "wrong", "wrong-query"),
    await given(HS_TOKEN, "wrong", "disagree-1"),
    await given("wrong", HS_TOKEN, "disagree-2"),
    await given(`${HS_TOKEN}x`, null, "longer"),
  ].map(({ status, body }) => [status, body["errcode"]]);
  expect(outcomes).toEqual([
    [200, undefined],
    [200, undefined],
    [200, undefined],
    [401, "M_MISSING_TOKEN"],
    [403, "M_FORBIDDEN"],
    [403, "M_FORBIDDEN"],
    [403, "M_FORBIDDEN"],
    [403, "M_FORBIDDEN"],
    [403, "M_FORBIDDEN"],
  ]);
  expect(service.journal()).toEqual(["$header", "$query", "$both"]);
});

test("no token is ever logged, whatever becomes of the request", async () => {
  const service = await startService();
  await service.transaction(`1?access_token=${HS_TOKEN}`, { events: [] }, { token: null });
  await service.transaction(`2?access_token=${HS_TOKEN}`, "{", { token: null });
  await service.intake("GET", `/nowhere?access_token=${HS_TOKEN}`, {});
  await service.intake("DELETE", `${TRANSACTIONS}/3?access_token=${HS_TOKEN}`, { token: HS_TOKEN });
  await eventually("the requests being logged", () => service.log.events("debug").length >= 4);
  expect(service.log.text).not.toContain(HS_TOKEN);
});

test("a body of 20 MiB is taken, one of 33 MiB is answered 413 M_TOO_LARGE", async () => {
  const service = await startService();
  const padded = (mebibytes: number): string =>
    JSON.stringify({ events: [message(`m${mebibytes}`, { content: { body: "x".repeat(mebibytes * 1024 * 1024) } })] });
  expect((await service.transaction("1", padded(20))).status).toBe(200);
  const refused = await service.transaction("2", padded(33));
  expect([refused.status, refused.body["errcode"]]).toEqual([413, "M_TOO_LARGE"]);
  expect(service.journal()).toEqual(["$m20"]);
});

test("a full transaction, a hundred events of 64 KiB, is recorded whole", async () => {
  const service = await startService();
  const events = Array.from({ length: 100 }, (_, n) =>
    message(`big${n}`, { content: { body: "é".repeat(32 * 1024) } }),
  );
  expect((await service.transaction("1", { events })).status).toBe(200);
  expect(service.journal()).toHaveLength(100);
  const [row] = service.query<{ body: Buffer }>("SELECT body FROM journal");
  expect((JSON.parse(row!.body.toString("utf8")) as { events: unknown }).events).toEqual(events);
});

test("paths and methods that are none are M_UNRECOGNIZED: 404 and 405", async () => {
  const service = await startService();
  const outcome = async (method: string, target: string) => {
    const { status, body } = await service.intake(method, target);
    return [status, body["errcode"]];
  };
  expect(await outcome("GET", "/_matrix/app/v1/nothing")).toEqual([404, "M_UNRECOGNIZED"]);
  expect(await outcome("PUT", "/_matrix/app/v2/transactions/1")).toEqual([404, "M_UNRECOGNIZED"]);
  expect(await outcome("GET", `${TRANSACTIONS}/1`)).toEqual([405, "M_UNRECOGNIZED"]);
  expect(await outcome("POST", `${TRANSACTIONS}/1`)).toEqual([405, "M_UNRECOGNIZED"]);
  expect(await outcome("GET", "/_matrix/app/v1/ping")).toEqual([405, "M_UNRECOGNIZED"]);
});

test("a path with broken percent-encoding is a Matrix error, too", async () => {
  const service = await startService();
  const answer = await service.intake("PUT", `${TRANSACTIONS}/%zz`, { token: HS_TOKEN, body: { events: [] } });
  expect(answer.status).toBe(400);
  expect(answer.body["errcode"]).toEqual(expect.stringMatching(/^M_/));
});

test("a ping is answered 200 with a Content-Length, without which Synapse takes it for broken", async () => {
  const service = await startService();
  const answer = await service.intake("POST", "/_matrix/app/v1/ping", {
    token: HS_TOKEN,
    body: { transaction_id: "p" },
  });
  expect(answer.status).toBe(200);
  expect(answer.headers["content-length"]).toBe("2");
  expect((await service.intake("POST", "/_matrix/app/v1/ping", { body: {} })).status).toBe(401);
});

test("the newest ping that had an ID is in the status, and an ID without bounds is not kept", async () => {
  const service = await startService();
  const lastPing = async (): Promise<unknown> => (await service.admin("GET", "/status")).body["last_ping"];
  const ping = (body: unknown, token = HS_TOKEN) => service.intake("POST", "/_matrix/app/v1/ping", { token, body });
  expect(await lastPing()).toBeNull();
  await ping({ transaction_id: "p1" });
  await ping({ transaction_id: "p2" });
  expect(await lastPing()).toEqual({ transaction_id: "p2", at: expect.any(Number) as number });
  for (const body of [{}, "", "[", { transaction_id: null }, { transaction_id: "x".repeat(256) }]) {
    expect((await ping(body)).status).toBe(200);
  }
  expect((await ping({ transaction_id: "a stranger's" }, "wrong")).status).toBe(403);
  expect(await lastPing()).toMatchObject({ transaction_id: "p2" });
});

test("the pseudouser exists for a user query, nobody else does, and no alias does", async () => {
  const service = await startService();
  const statusOf = async (target: string) => (await service.intake("GET", target)).status;
  for (const prefix of ["/_matrix/app/v1", ""]) {
    expect(await statusOf(`${prefix}/users/${encodeURIComponent(PSEUDOUSER)}`)).toBe(200);
    expect(await statusOf(`${prefix}/users/${encodeURIComponent(`@else:${SERVER}`)}`)).toBe(404);
    expect(await statusOf(`${prefix}/users/nonsense`)).toBe(404);
    expect(await statusOf(`${prefix}/rooms/${encodeURIComponent(`#alias:${SERVER}`)}`)).toBe(404);
  }
});

test("the unversioned path of older homeservers takes transactions", async () => {
  const service = await startService();
  const body = { events: [message("a")] };
  expect((await service.intake("PUT", `/transactions/1?access_token=${HS_TOKEN}`, { body })).status).toBe(200);
  expect(service.journal()).toEqual(["$a"]);
});

test.each(["a%2Fb", "%00", "..%2F..", "%20%20", encodeURIComponent("ü~'\"()"), "m1234.5-6_7", "x".repeat(900)])(
  "the transaction ID %j is one like any other",
  async (txnId) => {
    const service = await startService();
    for (let round = 0; round < 2; round += 1) {
      expect((await service.transaction(txnId, { events: [message("a")] })).status).toBe(200);
    }
    expect(service.journal()).toEqual(["$a"]);
    expect(service.query("SELECT txn_id FROM journal")).toEqual([{ txn_id: decodeURIComponent(txnId) }]);
  },
);

test("ephemeral and to-device parts are accepted under both names, counted, and not kept", async () => {
  const service = await startService();
  const { status } = await service.transaction("1", {
    events: [message("a")],
    ephemeral: [{ type: "m.typing", room_id: "!r:x", content: { user_ids: ["@secret:x"] } }],
    "de.sorunome.msc2409.ephemeral": [{ type: "m.receipt" }],
    to_device: [{ type: "m.room_key", content: { secret: 1 } }],
    "de.sorunome.msc2409.to_device": [],
    "org.matrix.msc3202.device_lists": { changed: [] },
    unheard_of: 1,
  });
  expect(status).toBe(200);
  const [row] = service.query<{ body: Buffer }>("SELECT body FROM journal");
  expect(JSON.parse(row!.body.toString("utf8"))).toEqual({ events: [message("a")] });
  expect((await service.transaction("2", { ephemeral: [] })).status).toBe(200);
});

test("a caller that breaks off in the middle of a transaction leaves nothing behind", async () => {
  const service = await startService();
  const { connect } = await import("node:net");
  const socket = connect(service.app.ports.appservice, "127.0.0.1");
  socket.on("error", () => undefined);
  const head = `PUT ${TRANSACTIONS}/1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${HS_TOKEN}\r\n`;
  const body = JSON.stringify({ events: [message("a")] });
  socket.write(`${head}content-length: ${body.length}\r\n\r\n${body.slice(0, 50)}`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.destroy();
  expect((await service.transaction("1", body)).status).toBe(200);
  expect(service.journal()).toEqual(["$a"]);
  expect(service.log.events("error")).toEqual([]);
});

test("while the database is locked there is no 200; the homeserver repeats, and the events are recorded once", async () => {
  // By the true clock: each write waits five seconds for the lock and stops everything in this process meanwhile.
  const service = await startService({ clock: systemClock });
  const { homeserver } = service;
  const room = homeserver.makeRoom();
  const tenant = await service.tenant("one");
  await tenant.join(room.id);
  await service.untilRoom(room.id, { load: "loaded" });
  await service.untilDelivered();

  const other = new Database(service.config.storage.sqlite);
  try {
    other.exec("BEGIN IMMEDIATE");
    const before = homeserver.sender.tries.length;
    const said = homeserver.say(room, "@creator:elsewhere.test", "while locked");
    await eventually("a try that failed", () => homeserver.sender.tries.length > before, 25_000);
    expect(homeserver.sender.tries[before]).toMatchObject({ status: 500, eventIds: [said.event_id] });
    other.exec("COMMIT");
    await service.untilDelivered();
    expect(service.journal().filter((id) => id === said.event_id)).toHaveLength(1);
  } finally {
    other.close();
  }
});

test("events go on being recorded in order while the homeserver's transactions fail and restart at 1", async () => {
  const service = await startService();
  const { homeserver } = service;
  const room = homeserver.makeRoom();
  await (await service.tenant("one")).join(room.id);
  await service.untilDelivered();
  const expected = service.journal();
  for (let n = 0; n < 60; n += 1) {
    expected.push(homeserver.say(room, "@creator:elsewhere.test", `number ${n}`).event_id);
    if (n % 20 === 10) homeserver.sender.restartTransactionIds();
    if (n % 7 === 0) await service.untilDelivered();
  }
  await service.untilDelivered();
  expect(service.journal()).toEqual(expected);
});
