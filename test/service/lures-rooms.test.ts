/**
 * Rooms that are made to harm whoever looks into them or is in them: huge, silent, too complex, hostile in what they say. Runs what
 * `npm run build` makes.
 */
import { expect, test } from "vitest";
import { MAX_LIST_RULES } from "../../src/lists/reader.ts";
import { eventually, gate } from "../support/service-app.ts";
import { numbers, pause, Target } from "../support/lures.ts";
import { sizeOf } from "../support/soak.ts";

const REASON = "org.matrix.msc1777.reason";
const MIB = 2 ** 20;
const MEMBERS = sizeOf(40_000, 200_000);
const RULES = sizeOf(MAX_LIST_RULES + 10_000, 200_000);
const EVIL = "@creator:elsewhere.test";

test("a room with 200,000 members is refused before anything is joined", async () => {
  const target = await Target.open();
  const room = target.room({ summaryMembers: 200_000 });
  const { cost, result } = await target.during("a room with 200,000 members", () =>
    Promise.all(numbers(50).map((nr) => target.peek(room.id, target.user(`reader-${nr}`)))),
  );
  expect(new Set(result.map((answer) => answer?.body[REASON]))).toEqual(new Set(["member-cap"]));
  expect(cost.joins).toBe(0);
  // The look is shared by all who ask at once.
  expect(cost.requests.get("GET room_summary/!") ?? 0).toBeLessThanOrEqual(2);
});

test("a room that says it is small and has a great many members is read piece by piece, while other work goes on", async () => {
  const target = await Target.open();
  const room = target.room({ summaryMembers: 5, members: numbers(MEMBERS).map((nr) => `@user-${nr}:elsewhere.test`) });
  const token = await target.daemon.tenant("one");
  const { cost } = await target.during(`a room that grows to ${MEMBERS} members`, async () => {
    expect((await target.join(token, room.id)).status).toBe(200);
    await eventually(
      "the members being known",
      async () => (await target.admin("GET", `/rooms/${encodeURIComponent(room.id)}`)).body["load"] === "loaded",
      60_000,
    );
  });
  expect(cost.joins).toBe(1);
  expect(cost.disk).toBeLessThan(100 * MIB);
}, 90_000);

test("rooms whose servers never answer hold up nobody else", async () => {
  const target = await Target.open();
  const rooms = numbers(20).map((nr) => target.room({ id: `!silent${nr}:silent-${nr}.test` }));
  const end = gate();
  target.homeserver.fault("GET", /room_summary\/.*silent/, { waitFor: end.opened }, 1_000);
  const { cost } = await target.during("20 rooms whose servers never answer a look", async () => {
    for (const [nr, room] of rooms.entries()) void target.peek(room.id, target.user("reader"), `silent-${nr}.test`);
    await pause(2_000);
  });
  end.open();
  expect(cost.joins).toBe(0);
  expect(cost.requests.get("GET room_summary/!")).toBeLessThanOrEqual(rooms.length);
}, 60_000);

test("rooms whose joins never end hold up nobody else", async () => {
  const target = await Target.open();
  const rooms = numbers(20).map((nr) => target.room({ id: `!stuck${nr}:stuck-${nr}.test` }));
  const end = gate();
  target.homeserver.fault("POST", /join\/.*stuck/, { waitFor: end.opened }, 1_000);
  const { cost } = await target.during("20 rooms whose joins never end", async () => {
    for (const [nr, room] of rooms.entries()) void target.peek(room.id, target.user("reader"), `stuck-${nr}.test`);
    await pause(3_000);
  });
  end.open();
  expect(cost.joins).toBeLessThanOrEqual(rooms.length);
}, 60_000);

test("a room that is too large for the homeserver is asked for once", async () => {
  const target = await Target.open();
  const room = target.room({ id: "!complex:evil.test", creator: "@c:evil.test" });
  const error = {
    errcode: "M_RESOURCE_LIMIT_EXCEEDED",
    error: "Your homeserver is unable to join rooms this large or complex.",
  };
  target.homeserver.fault("POST", /join\/.*complex/, { status: 400, body: error }, 1_000);
  const { cost, result } = await target.during("a room that the homeserver finds too complex", async () => {
    await target.peek(room.id, target.user("first"));
    const more = [];
    for (const nr of numbers(100)) more.push(await target.peek(room.id, target.user(`reader-${nr}`)));
    return more;
  });
  expect(new Set(result.map((answer) => answer?.body[REASON]))).toEqual(new Set(["too-complex"]));
  expect(cost.joins).toBe(1);
}, 60_000);

const HUGE = "k".repeat(65_000);
const HOSTILE = "\u202Eevil\u0000\u001b]0;owned\u0007\u001b[2J\u{1F4A3}\uD800 z\u0335\u0321a\u0335l\u0334go";

test("state that is huge, deep, or written to harm is taken, kept small and shown as plain text", async () => {
  const target = await Target.open();
  const { homeserver } = target;
  const token = await target.daemon.tenant("one");
  const room = target.room({ id: "!hostile:evil.test", creator: "@c:evil.test" });
  const deep = JSON.parse(`${"[".repeat(400)}1${"]".repeat(400)}`) as never;
  const { cost } = await target.during("hostile state", async () => {
    await target.join(token, room.id);
    for (const nr of numbers(300)) homeserver.send(room, "@c:evil.test", `m.evil.${nr}`, { body: "x" }, HUGE.slice(nr));
    homeserver.send(room, "@c:evil.test", "m.room.name", { name: HOSTILE }, "");
    homeserver.send(room, "@c:evil.test", "m.room.canonical_alias", { alias: `#${HOSTILE}:evil.test` }, "");
    homeserver.send(
      room,
      "@c:evil.test",
      "m.room.member",
      { membership: "join", displayname: HUGE },
      "@long:evil.test",
    );
    homeserver.send(
      room,
      "@c:evil.test",
      "m.room.member",
      { membership: "join", displayname: HOSTILE },
      "@odd:evil.test",
    );
    const globs = numbers(4_000).map((nr) => `*a*${nr}*b*?`);
    homeserver.send(room, "@c:evil.test", "m.room.server_acl", { allow: ["*"], deny: globs }, "");
    homeserver.send(room, "@c:evil.test", "m.deep", { deep }, "");
    const proto = JSON.parse('{"__proto__": {"membership": "join", "join_rule": "public"}, "constructor": 1}') as never;
    for (const type of ["__proto__", "constructor", "toString", "m.room.join_rules", "m.room.create"]) {
      homeserver.send(room, "@c:evil.test", type, proto, type.startsWith("m.room") ? "odd" : "");
    }
    homeserver.sender.push({ ...homeserver.say(room, EVIL, "x"), type: 7, event_id: "$odd" });
    await target.untilDelivered();
    await pause(300);
  });
  expect(cost.rows["set_aside"] ?? 0).toBeLessThanOrEqual(3);
  expect(cost.disk).toBeLessThan(80 * MIB);
  expect((await target.say(token, room.id, "after")).status).toBe(200);
  // Whatever a terminal would take for a command, or for another order of the letters.
  for (const words of [["rooms", "list"], ["rooms", "show", room.id], ["members", room.id], ["audit"]]) {
    expect(await target.command(...words)).not.toMatch(/[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069]/u);
  }
  const [kept] = target.query<{ longest: number }>("SELECT max(length(value)) AS longest FROM room_state");
  expect(kept!.longest).toBeLessThan(70_000);
}, 60_000);

test("a policy list that is too long is taken as far as a list may go, while other work goes on", async () => {
  const target = await Target.open('policy: { lists: ["!list:lists.test"] }', (homeserver) => {
    const list = homeserver.makeRoom({ id: "!list:lists.test", creator: "@m:lists.test" });
    for (const nr of numbers(RULES)) {
      const entity = nr % 4 === 0 ? `*.spam${nr}.test` : `spam${nr}.test`;
      list.append(
        "m.policy.rule.server",
        "@m:lists.test",
        { entity, recommendation: "m.ban", reason: "spam" },
        `r${nr}`,
      );
    }
  });
  const token = await target.daemon.tenant("one");
  const banned = target.room({ id: "!room:spam7.test", creator: "@c:spam7.test" });
  const { cost, result } = await target.during(`a policy list of ${RULES} rules`, async () => {
    const counted = (): number => target.query<{ n: number }>("SELECT count(*) AS n FROM policy_rules")[0]?.n ?? 0;
    await eventually("the rules being kept", () => counted() >= MAX_LIST_RULES, 60_000);
    return target.join(token, banned.id);
  });
  expect(result.body[REASON]).toBe("listed");
  expect(cost.joins).toBeLessThanOrEqual(1);
  expect(cost.disk).toBeLessThan(100 * MIB);
}, 90_000);
