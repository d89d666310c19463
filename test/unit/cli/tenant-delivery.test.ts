import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/model/json.ts";
import { daemon, emissary, refusal } from "./terminal.ts";

const AT = Date.UTC(2025, 0, 2, 3, 4, 5);
const DELIVERY: JsonObject = {
  state: "flowing",
  lag_events: 0,
  oldest_at: null,
  last_success_at: AT,
  last_error_at: null,
  last_error: null,
  stuck: null,
  paused_at: null,
};
const TENANT: JsonObject = {
  id: "telegram",
  sender: "@_emissary_telegram:b",
  url: "http://127.0.0.1:29317",
  users: null,
  overlaps: [],
  users_fault: null,
  sync_anew: null,
  grants: [],
  ephemeral: true,
  max_transaction: null,
  ca: null,
  paused_at: null,
  created_at: AT,
  leases: 2,
  delivery: DELIVERY,
};
const REGISTRATION: JsonObject = {
  id: "telegram",
  url: "http://127.0.0.1:29317",
  as_token: "the-as-token",
  hs_token: "the-hs-token",
  sender_localpart: "_emissary_telegram",
  namespaces: { users: [], aliases: [], rooms: [] },
};

test.each([
  ["pause", "The tenant telegram is paused: its events are kept until `emissary tenant resume telegram`.\n"],
  ["resume", "The tenant telegram is given its events again.\n"],
])("tenant %s", async (command, said) => {
  const { config, asked } = await daemon({
    [`POST /tenants/telegram/${command}`]: { tenant: "telegram", paused_at: AT },
  });
  expect((await emissary(["tenant", command, "telegram", ...config])).stdout).toBe(said);
  expect(asked).toHaveLength(1);
});

describe("tenant replay", () => {
  test.each([
    ["7", { from_seq: 7 }],
    ["2025-01-02T03:04:05Z", { from_at: AT }],
    ["2025-01-02", { from_at: Date.UTC(2025, 0, 2) }],
  ])("takes a number or a time: %s", async (from, body) => {
    const { config, asked } = await daemon({ "POST /tenants/telegram/replay": { tenant: "telegram", from_seq: 7 } });
    const { stdout } = await emissary(["tenant", "replay", "telegram", "--from", from, ...config]);
    expect(stdout).toContain("beginning with number 7 of the journal");
    expect(asked[0]?.body).toEqual(body);
  });

  test.each(["0", "-1", "1.5", "yesterday", "2025-13-45", "Jan 2 2025"])("asks nobody with %j", async (from) => {
    const { config, asked } = await daemon({});
    const { exitCode } = await emissary(["tenant", "replay", "telegram", `--from=${from}`, ...config]);
    expect([exitCode, asked]).toEqual([2, []]);
  });

  test("repeats the daemon's word on what is gone", async () => {
    const gone = "The journal no longer goes back so far: its oldest event has the number 5.";
    const { config } = await daemon({ "POST /tenants/telegram/replay": refusal("bad-request", gone) });
    const { exitCode, stderr } = await emissary(["tenant", "replay", "telegram", "--from", "1", ...config]);
    expect([exitCode, stderr]).toEqual([1, `emissary: ${gone}\n`]);
  });
});

test("tenant show tells how deliveries stand", async () => {
  const shown = async (delivery: JsonObject | null): Promise<string> => {
    const { config } = await daemon({ "GET /tenants/telegram": { ...TENANT, delivery } });
    return (await emissary(["tenant", "show", "telegram", ...config])).stdout;
  };
  expect(await shown(DELIVERY)).toMatch(
    /deliveries +flowing\nbehind +0 events\nlast taken +2025-01-02T03:04:05Z\nlast error +none since the start\n/,
  );
  const failing = { lag_events: 3, oldest_at: AT, last_success_at: null, last_error_at: AT, last_error: "It is down." };
  expect(await shown({ ...DELIVERY, ...failing, state: "failing" })).toMatch(
    /failing\nbehind +3 events, the oldest came at 2025-01-02T03:04:05Z\nlast taken +none since the start\nlast error +2025-01-02T03:04:05Z: It is down\.\n/,
  );
  expect(await shown({ ...DELIVERY, state: "paused", paused_at: AT })).toContain("paused since 2025-01-02T03:04:05Z");
  const stuck = { seq: 7, event_id: "$bad", room_id: "!r:x", type: "m.room.message", bytes: 900, since: AT };
  expect(await shown({ ...DELIVERY, ...failing, state: "stuck", stuck })).toMatch(
    /deliveries +stuck\n(?:.*\n)*stuck +since 2025-01-02T03:04:05Z at \$bad \(m\.room\.message, 900 bytes\) in !r:x: .*emissary tenant skip telegram '\$bad'/,
  );
  expect(await shown(null)).not.toContain("deliveries");
});

test("tenant skip names the event that the tenant does without", async () => {
  const skipped = { seq: 7, event_id: "$bad", room_id: "!r:x", type: "m.room.message", bytes: 900, since: AT };
  const { config, asked } = await daemon({ "POST /tenants/telegram/skip": { tenant: "telegram", skipped } });
  const { stdout } = await emissary(["tenant", "skip", "telegram", "$bad", ...config]);
  expect(stdout).toBe("The tenant telegram never gets $bad (number 7 of the journal); what follows is on its way.\n");
  expect(asked[0]?.body).toEqual({ event_id: "$bad" });
});

describe("tenant set", () => {
  test.each<[string[], JsonObject]>([
    [["--max-transaction", "900k"], { max_transaction: 921_600 }],
    [["--no-max-transaction", "--no-ca"], { max_transaction: null, ca: null }],
    [["--url", "https://bridge:1", "--no-ephemeral"], { url: "https://bridge:1", ephemeral: false }],
    [["--no-url", "--no-users"], { url: null, users: null }],
  ])("%j changes that and nothing else", async (flags, body) => {
    const { config, asked } = await daemon({
      "POST /tenants/telegram/set": TENANT,
      "POST /tenants/telegram/ping": { ok: true, ms: 3 },
    });
    const { exitCode, stdout } = await emissary(["tenant", "set", "telegram", ...flags, ...config]);
    expect([exitCode, stdout]).toEqual([0, "The tenant telegram has its new settings.\n"]);
    expect(asked[0]?.body).toEqual(body);
  });

  test.each<[string[]]>([[[]], [["--max-transaction", "much"]], [["--url", "ftp://x"]], [["--users", "("]]])(
    "asks nobody with %j",
    async (flags) => {
      const { config, asked } = await daemon({});
      const { exitCode } = await emissary(["tenant", "set", "telegram", ...flags, ...config]);
      expect([exitCode, asked]).toEqual([2, []]);
    },
  );
});

describe("tenant add", () => {
  const added = { tenant: TENANT, registration: REGISTRATION };
  const flags = ["--url", "http://127.0.0.1:29317", "--ephemeral"];

  test.each<[string, JsonObject, string]>([
    ["answers", { ok: true, ms: 3 }, "It answers at http://127.0.0.1:29317."],
    [
      "does not",
      { ok: false, why: "connection-failed", status: null, sentence: "Nothing listens there." },
      "Nothing listens there.",
    ],
    ["cannot be tried", refusal("internal", "Emissary failed.") as JsonObject, "Emissary failed."],
  ])("says that the tenant %s, and succeeds", async (_what, ping, said) => {
    const { config, asked } = await daemon({ "POST /tenants": added, "POST /tenants/telegram/ping": ping });
    const { exitCode, stderr } = await emissary(["tenant", "add", "telegram", ...flags, ...config]);
    expect(exitCode).toBe(0);
    expect(stderr).toContain(said);
    expect(asked[0]?.body).toMatchObject({ ephemeral: true });
  });
});
