import { expect, test } from "vitest";
import { LeaseRefusals, type RefusedWish } from "../../../../src/attendance/leases/refusals.ts";
import type { AuditEntry } from "../../../../src/model/audit.ts";
import type { RoomId, ServerName } from "../../../../src/model/ids.ts";
import type { Verdict } from "../../../../src/model/verdict.ts";
import { ManualClock } from "../../../support/clock.ts";
import { ROOM } from "../../../support/events.ts";
import { CollectedLog } from "../../../support/service-app.ts";

const WISH: RefusedWish = {
  roomId: ROOM,
  holder: { kind: "peek", name: "hash.device" },
  via: ["a.example" as ServerName],
};
const VERDICT: Verdict = {
  allowed: false,
  code: "join-rule",
  reason: "private",
  retryAfter: null,
  inputs: { join_rule: "invite" },
};

function scene() {
  const clock = new ManualClock();
  const rows: AuditEntry[] = [];
  const counted: string[] = [];
  const refusals = new LeaseRefusals({
    write: async (entry) => void rows.push(entry),
    refused: (code, holder) => counted.push(`${code} ${holder}`),
    clock,
    log: new CollectedLog(),
    abort: new AbortController().signal,
  });
  const sum = (): number => rows.reduce((times, { detail }) => times + Number(detail["times"]), 0);
  return { clock, rows, counted, refusals, sum };
}

test("a refusal is counted, and stands in the audit with what it was reached by", async () => {
  const { rows, counted, refusals } = scene();
  await refusals.note(WISH, VERDICT);
  expect(counted).toEqual(["join-rule peek"]);
  expect(rows).toEqual([
    {
      actor: "peek:hash.device",
      action: "lease.take",
      outcome: "join-rule",
      roomId: ROOM,
      detail: { via: ["a.example"], inputs: { join_rule: "invite" }, times: 1 },
    },
  ]);
});

test("a thousand users who try a thousand rooms cost a handful of rows, whose numbers add up", async () => {
  const { clock, rows, counted, refusals, sum } = scene();
  for (let n = 0; n < 1_000; n += 1) {
    const holder = { kind: "peek", name: `user${n}.device` } as const;
    await refusals.note({ ...WISH, holder, roomId: `!${n}:a.example` as RoomId }, VERDICT);
  }
  await clock.advance(60_000);
  expect([rows.length, sum(), counted.length]).toEqual([7, 1_000, 1_000]);
  expect(rows.at(-1)).toMatchObject({ actor: "peek", roomId: null, outcome: "join-rule", detail: { times: 994 } });
});

test("tenants are told apart by their names, whatever they do, and codes from each other", async () => {
  const { rows, refusals } = scene();
  for (const name of ["telegram", "irc"]) {
    for (let n = 0; n < 50; n += 1) {
      await refusals.note({ ...WISH, holder: { kind: "tenant", name }, roomId: `!${n}:a` as RoomId }, VERDICT);
    }
  }
  await refusals.note({ ...WISH, holder: { kind: "tenant", name: "irc" } }, { ...VERDICT, code: "room-cap" });
  const last = rows.filter(({ roomId }) => roomId === null).map(({ actor }) => actor);
  expect(last).toEqual(["tenant:telegram", "tenant:irc"]);
  expect(rows.at(-1)).toMatchObject({ actor: "tenant:irc", outcome: "room-cap" });
});
