import { describe, expect, test } from "vitest";
import { Refusals, type Refused } from "../../../../src/tenants/act/checks/refusals.ts";
import { patternOf } from "../../../../src/tenants/act/routes.ts";
import type { AuditEntry } from "../../../../src/model/audit.ts";
import { EmissaryError, ERROR_CODES, type ErrorCode } from "../../../../src/model/errors.ts";
import type { RoomId, TenantId } from "../../../../src/model/ids.ts";
import { CollectedLog } from "../../../support/service-app.ts";
import { ManualClock, settle } from "../../../support/clock.ts";
import { ROOM } from "../../../support/events.ts";

const SEND: Refused = {
  tenant: "telegram" as TenantId,
  request: "PUT /rooms/:roomId/send/:eventType/:txnId",
  roomId: ROOM,
};

function scene({ write = async (): Promise<void> => {} } = {}) {
  const clock = new ManualClock();
  const rows: AuditEntry[] = [];
  const log = new CollectedLog();
  const abort = new AbortController();
  const audit = {
    note: async (entry: AuditEntry): Promise<void> => {
      rows.push(entry);
      await write();
    },
  };
  const refusals = new Refusals(audit, clock, log, abort.signal);
  const refuse = (more: Partial<Refused> = {}, code: ErrorCode = "forbidden", reason?: string): void =>
    refusals.note({ ...SEND, ...more }, new EmissaryError(code, "No.", reason === undefined ? {} : { reason }));
  return { clock, rows, log, abort, refuse, times: () => rows.map(({ detail }) => detail["times"]) };
}

describe("what a tenant is refused", () => {
  test("is in the audit at once: who, what, where, why", () => {
    const { rows, refuse } = scene();
    refuse({}, "no-lease", "kicked");
    expect(rows).toEqual([
      {
        actor: "tenant:telegram",
        action: "request.refuse",
        outcome: "no-lease",
        roomId: ROOM,
        detail: { request: SEND.request, reason: "kicked", times: 1 },
      },
    ]);
  });

  const audited: readonly ErrorCode[] = ["forbidden", "room-encrypted", "no-lease", "limited"];
  test.each(ERROR_CODES)("%s is one, or a mishap, or audited elsewhere", (code) => {
    const { rows, refuse } = scene();
    refuse({}, code);
    expect(rows).toHaveLength(audited.includes(code) ? 1 : 0);
  });

  test("again within a minute is counted, and the minute's end writes how often", async () => {
    const { clock, refuse, times } = scene();
    for (let n = 0; n < 1_000; n += 1) refuse();
    expect(times()).toEqual([1]);
    await clock.advance(60_000);
    expect(times()).toEqual([1, 999]);
    refuse();
    await clock.advance(60_000);
    expect(times()).toEqual([1, 999, 1]);
    await clock.advance(60_000);
    refuse();
    expect(times()).toEqual([1, 999, 1, 1]);
  });

  test("in another room, by another request, for another reason or of another tenant is another row", () => {
    const { rows, refuse } = scene();
    refuse();
    refuse({ roomId: "!other:a.example" as RoomId });
    refuse({ roomId: null });
    refuse({ request: "GET /rooms/:roomId/state" });
    refuse({ tenant: "irc" as TenantId });
    refuse({}, "forbidden", "not-allowed");
    refuse({}, "no-lease");
    expect(rows).toHaveLength(7);
  });

  test("in ever new rooms fills no disk: after twenty kinds the rest are one, counted", async () => {
    const { clock, rows, refuse } = scene();
    for (let n = 0; n < 5_000; n += 1) refuse({ roomId: `!${n}:a.example` as RoomId });
    refuse({ tenant: "irc" as TenantId });
    expect(rows).toHaveLength(22);
    await clock.advance(60_000);
    const rest = rows.filter(({ outcome }) => outcome === "various");
    expect(rest.map(({ roomId, detail }) => [roomId, detail])).toEqual([
      [null, { times: 1 }],
      [null, { times: 4_979 }],
    ]);
    await clock.advance(120_000);
    expect(clock.sleepers).toBe(0);
  });

  test("and was counted is written before we stop", async () => {
    const { abort, refuse, times } = scene();
    for (let n = 0; n < 5; n += 1) refuse();
    abort.abort();
    await settle();
    expect(times()).toEqual([1, 4]);
  });

  test("is told to the log where the audit cannot be written", async () => {
    const { log, refuse } = scene({ write: () => Promise.reject(new Error("disk full")) });
    refuse();
    await settle();
    expect(log.events("error")).toEqual(["act.audit-failed"]);
  });

  test("is logged once a kind, whatever the rooms: for whoever sets the software up", () => {
    const { log, refuse } = scene();
    for (let n = 0; n < 1_000; n += 1) refuse({ roomId: `!${n}:a.example` as RoomId }, "forbidden", "not-allowed");
    refuse({}, "room-encrypted");
    refuse({ tenant: "irc" as TenantId }, "unrecognized");
    refuse({}, "internal");
    expect(log.entries.map(({ level, event, fields }) => [level, event, fields])).toEqual([
      [
        "warn",
        "tenant.refused",
        { tenant: "telegram", request: SEND.request, code: "forbidden", reason: "not-allowed" },
      ],
      ["warn", "tenant.refused", { tenant: "telegram", request: SEND.request, code: "room-encrypted", reason: null }],
      ["warn", "tenant.refused", { tenant: "irc", request: SEND.request, code: "unrecognized", reason: null }],
    ]);
  });

  test("in ever new ways fills no log", () => {
    const { log, refuse } = scene();
    for (let n = 0; n < 5_000; n += 1) refuse({ request: `GET /${n}` }, "unrecognized");
    expect(log.entries).toHaveLength(50);
  });

  test.each([
    ["GET /_matrix/client/v3/rooms/!a%3Ab.example/whatever", "GET /_matrix/client/v3/rooms/…/whatever"],
    ["PUT /_matrix/client/v3/user/%40bob%3Ab.example/x", "PUT /_matrix/client/v3/user/…/x"],
    [`GET /_matrix/client/v3/keys/${"k".repeat(40)}`, "GET /_matrix/client/v3/keys/…"],
    ["POST /_matrix/client/v3/keys/upload", "POST /_matrix/client/v3/keys/upload"],
  ])("%s is logged as %s", (asked, pattern) => {
    expect(patternOf(asked)).toBe(pattern);
  });
});
