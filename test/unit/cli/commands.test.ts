import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/model/json.ts";
import { daemon, emissary, refusal } from "./terminal.ts";

const AT = Date.UTC(2025, 0, 2, 3, 4, 5);

const ROOM: JsonObject = {
  room_id: "!a:b",
  name: "Kitchen",
  canonical_alias: "#kitchen:b",
  phase: "present",
  since: AT,
  own_membership: "join",
  joined_members: 12,
  join_rule: "public",
  history_visibility: "world_readable",
  encryption: null,
  version: "12",
  load: "loaded",
  gap: "none",
  code: null,
  reason: null,
  leases: [{ holder: "tenant:telegram", taken_at: AT, expires_at: null }],
};

describe("status", () => {
  const STATUS: JsonObject = {
    version: "0.1.0",
    pseudouser: "@:example.org",
    ready: false,
    not_ready_because: "the homeserver does not answer",
    uptime_ms: 61_000,
    restored: null,
    homeserver: { url: "http://127.0.0.1:8008", server_name: "example.org" },
    rooms: { present: 3, joining: 1, leaving: 0, refused: 2, loading: 1 },
    leases: { tenant: 4, operator: 1 },
    journal: { first_seq: 1, last_seq: 99, bytes: 40_000, oldest_at: AT, held_by: [] },
    audit: { entries: 3, bytes: 300, oldest_at: AT },
    intake: { transactions: 50, events: 99, duplicates: 2, set_aside: 1, late: 0, last_at: AT },
    last_ping: null,
    delivery: { state: "flowing", since: null, cause: null },
    own_invites: "declined",
    tenants: 2,
    tenant_deliveries: [],
    policy: {
      rooms_attended: 3,
      max_rooms: 1000,
      joins_under_way: 1,
      max_joins_under_way: 500,
      budgets: [],
      cool_downs: {},
    },
  };

  test("says what is up and what keeps it from being ready", async () => {
    const { config } = await daemon({ "GET /status": STATUS });
    expect((await emissary(["status", ...config])).stdout).toBe(
      `daemon        Emissary 0.1.0, up 1m 1s
ready         no: the homeserver does not answer
pseudouser    @:example.org
homeserver    example.org at http://127.0.0.1:8008
rooms         3 present, 1 joining, 0 leaving, 2 refused, 1 still loading
leases        4 tenant, 1 operator
own invites   declined
tenants       2
journal       1 to 99
transactions  50, the last at 2025-01-02T03:04:05Z
delivery      flowing
events        99 received, 2 repeated, 1 set aside, 0 late
`,
    );
  });

  test("warns of a consumer that keeps the journal from being cut", async () => {
    const held_by = [{ consumer: "telegram\u001b", seq: 9, events_behind: 90, unread_since: AT }];
    const journal = { first_seq: 1, last_seq: 99, bytes: 40_000, oldest_at: AT, held_by };
    const { config } = await daemon({ "GET /status": { ...STATUS, journal } });
    expect((await emissary(["status", ...config])).stdout).toMatch(
      /^journal held +WARNING: telegram\\u\{1b\} is 90 events behind, since 2025-01-02T03:04:05Z, .* remove it\.$/m,
    );
  });

  test("names what is nearly used up, and how many rooms are shunned", async () => {
    const hash = "abcdefghijklmnopqrstuv";
    const policy = {
      rooms_attended: 800,
      max_rooms: 1000,
      joins_under_way: 399,
      max_joins_under_way: 500,
      budgets: [
        {
          budget: "user",
          joins: 30,
          per_ms: 3_600_000,
          levels: [
            { payer: hash, left: 1.4 },
            { payer: "fine", left: 7 },
          ],
        },
        { budget: "server", joins: 200, per_ms: 3_600_000, levels: [{ payer: "evil.test\u001b", left: 40 }] },
        { budget: "all", joins: 2000, per_ms: 3_600_000, levels: [{ payer: "", left: 0 }] },
      ],
      cool_downs: { flooded: 2, "put-out": 1 },
    };
    const { config } = await daemon({ "GET /status": { ...STATUS, policy } });
    expect((await emissary(["status", ...config])).stdout).toContain(
      `near a cap     800 of 1000 rooms (policy.max_rooms)
near a cap     user abcdefgh…: 1 of 30 joins left
near a cap     server evil.test\\u{1b}: 40 of 200 joins left
near a cap     all together: 0 of 2000 joins left
rooms shunned  2 flooded, 1 put-out
`,
    );
  });

  test("gives a program all that the daemon says, also what is newer than this command", async () => {
    const { config } = await daemon({ "GET /status": { ...STATUS, mood: "good" } });
    expect(JSON.parse((await emissary(["status", "--json", ...config])).stdout)).toEqual({ ...STATUS, mood: "good" });
  });
});

describe("rooms", () => {
  test("list shows all pages in one table", async () => {
    const { config, asked } = await daemon({
      "GET /rooms": ({ line }) =>
        line.includes("after=!a")
          ? {
              rooms: [
                {
                  ...ROOM,
                  room_id: "!c",
                  name: null,
                  canonical_alias: null,
                  joined_members: 0,
                  leases: [],
                  phase: "refused",
                  reason: "invite only",
                  code: "join-rule",
                },
              ],
              next: null,
            }
          : { rooms: [ROOM], next: "!a:b" },
    });
    expect((await emissary(["rooms", "list", ...config])).stdout).toBe(
      `ROOM  NAME     PHASE    MEMBERS  HELD BY          REASON
!a:b  Kitchen  present       12  tenant:telegram  -
!c    -        refused        0  -                invite only
`,
    );
    expect(asked.map(({ line }) => line)).toEqual(["GET /rooms?limit=500", "GET /rooms?limit=500&after=!a:b"]);
  });

  test("list says on stderr that there are none, so that a pipe gets nothing", async () => {
    const { config } = await daemon({ "GET /rooms": { rooms: [], next: null } });
    expect(await emissary(["rooms", "list", ...config])).toEqual({
      exitCode: 0,
      stdout: "",
      stderr: "No rooms. `emissary rooms join ROOM` joins one.\n",
    });
    expect((await emissary(["rooms", "list", "--json", ...config])).stdout).toBe("[]\n");
  });

  test("show takes an alias as well, and says who keeps the pseudouser there and why a join was refused", async () => {
    const { config } = await daemon({
      "GET /rooms/#kitchen:b": {
        ...ROOM,
        code: "limited",
        reason: "the homeserver asked to wait",
        room_type: null,
        replacement: null,
        predecessor: "!old",
        via: ["b", "c"],
        members: { join: 12, leave: 3 },
        cool_down: { code: "put-out", reason: "@mod:b put us out", until: AT, strikes: 2 },
        invited_by: "@mod:b",
      },
    });
    const { stdout } = await emissary(["rooms", "show", "#kitchen:b", ...config]);
    expect(stdout).toContain("phase           present, since 2025-01-02T03:04:05Z\n");
    expect(stdout).toContain("reason          the homeserver asked to wait (limited)\n");
    expect(stdout).toContain("members         12 join, 3 leave\n");
    expect(stdout).toContain("via             b, c\n");
    expect(stdout).toContain("invited by      @mod:b\n");
    expect(stdout).toContain("shunned         until 2025-01-02T03:04:05Z: @mod:b put us out (put-out)\n");
    expect(stdout).toContain("lease           tenant:telegram, since 2025-01-02T03:04:05Z\n");
  });

  test("join hands on the routes and says that the pseudouser is there", async () => {
    const { config, asked } = await daemon({ "POST /rooms/!x/join": { room_id: "!x", phase: "present" } });
    const outcome = await emissary(["rooms", "join", "!x", "--via", "b", "--via", "c:8448", ...config]);
    expect(outcome).toEqual({
      exitCode: 0,
      stdout: "!x: present\n",
      stderr: "",
    });
    expect(asked[0]?.body).toEqual({ via: ["b", "c:8448"] });
  });

  test("join fails where the homeserver has refused", async () => {
    const { config } = await daemon({ "POST /rooms/!x/join": refusal("refused-by-homeserver", "You are banned.") });
    const outcome = await emissary(["rooms", "join", "!x", ...config]);
    expect([outcome.exitCode, outcome.stderr]).toEqual([1, "emissary: You are banned.\n"]);
  });

  test.each([
    [true, ["tenant:telegram"], "the operator's lease has ended; the pseudouser stays because of tenant:telegram"],
    [true, [], "the operator's lease has ended; nobody holds the room, so the pseudouser leaves after the linger time"],
    [false, ["tenant:telegram"], "the operator had no lease; the pseudouser stays because of tenant:telegram"],
  ])("leave says what comes of it (released %s, held by %j)", async (released, holders, sentence) => {
    const { config } = await daemon({ "POST /rooms/!x/leave": { room_id: "!x", released, holders } });
    expect((await emissary(["rooms", "leave", "!x", ...config])).stdout).toBe(`!x: ${sentence}\n`);
  });
});

describe("members", () => {
  const member = (user_id: string, displayname: string | null, pseudouser = false) => ({
    user_id,
    membership: "join",
    displayname,
    event_id: "$e",
    pseudouser,
  });

  test("lists those of one membership, and marks pseudousers", async () => {
    const { config, asked } = await daemon({
      "GET /rooms/!x/members": {
        members: [member("@:example.org", null, true), member("@eve:b", "Eve\u001b[2J")],
        next: null,
      },
    });
    expect((await emissary(["members", "!x", "--membership", "join", ...config])).stdout).toBe(
      `USER           MEMBERSHIP  NAME
@:example.org  join        -             a pseudouser
@eve:b         join        Eve\\u{1b}[2J
`,
    );
    expect(asked[0]?.line).toBe("GET /rooms/!x/members?membership=join&limit=1000");
  });

  test("gives programs the names as they are, in a form that terminals survive", async () => {
    const { config } = await daemon({
      "GET /rooms/!x/members": { members: [member("@eve:b", "\u202eevE")], next: null },
    });
    const { stdout } = await emissary(["members", "!x", "--json", ...config]);
    expect(stdout).toContain(String.raw`"displayname": "\u202eevE"`);
    expect(JSON.parse(stdout)).toEqual([member("@eve:b", "\u202eevE")]);
  });
});

describe("audit", () => {
  const entry = (id: number) => ({
    id,
    at: AT,
    actor: "operator",
    action: "room.join",
    outcome: "done",
    room_id: "!x",
    detail: {},
  });

  test("shows the newest, as many as asked for, over as many pages as that takes", async () => {
    const { config, asked } = await daemon({
      "GET /audit": ({ line }) =>
        line.includes("before")
          ? { entries: [entry(2), entry(1)], next: null }
          : { entries: [entry(4), entry(3)], next: 3 },
    });
    const { stdout } = await emissary(["audit", "--limit", "3", "--json", ...config]);
    expect((JSON.parse(stdout) as { id: number }[]).map(({ id }) => id)).toEqual([4, 3, 2]);
    expect(asked.map(({ line }) => line)).toEqual(["GET /audit?limit=3", "GET /audit?limit=1&before=3"]);
  });

  test("is a table for people", async () => {
    const { config } = await daemon({
      "GET /audit": { entries: [{ ...entry(1), detail: { via: ["b"] } }], next: null },
    });
    expect((await emissary(["audit", ...config])).stdout).toBe(
      `AT                    ACTOR     ACTION     OUTCOME  ROOM  DETAIL
2025-01-02T03:04:05Z  operator  room.join  done     !x    {"via":["b"]}
`,
    );
  });
});
