/** What is due, where the clock was set between two runs. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { DUE_TIMES } from "../../src/storage/due-times.ts";
import { SqliteStorage } from "../../src/app/stores.ts";
import { seededRandom, START } from "../support/clock.ts";

const DAY = 24 * 60 * 60_000;
const YEARS = 3_650 * DAY;
/** How far away what is due was when the database was last written. */
const PAUSE = 10 * 60_000;

/** Times that are only shown, or by which what is old is removed. */
const SHOWN: Readonly<Record<string, readonly string[]>> = {
  journal: ["received_at"],
  set_aside: ["received_at"],
  leases: ["taken_at"],
  audit: ["at"],
  policy_rules: ["at"],
  tenants: ["paused_at", "created_at"],
  tenant_grants: ["created_at"],
  alias_pins: ["at"],
  grant_pins: ["at", "moved_at"],
  openings: ["at"],
  heartbeat: ["at"],
  sent_events: ["at"],
};

function file(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "emissary-clock-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, "emissary.db");
}

test("every column that holds a time is one that goes back with the clock, or is only shown", () => {
  const sqlite = file();
  new SqliteStorage(sqlite).close();
  const db = new Database(sqlite);
  onTestFinished(() => void db.close());
  const columns = db
    .prepare<[], { at: string }>(
      "SELECT m.name || '.' || c.name AS at FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' " +
        "AND c.type = 'INTEGER' AND (c.name GLOB '*_at' OR c.name IN ('at', 'until', 'since', 'empty_since', 'upgrade_since')) ORDER BY 1",
    )
    .all()
    .map(({ at }) => at);
  const known = [DUE_TIMES, SHOWN].flatMap((tables) =>
    Object.entries(tables).flatMap(([table, names]) => names.map((name) => `${table}.${name}`)),
  );
  expect(columns).toEqual(known.sort());
});

const JUMPS: readonly (readonly [string, readonly number[]])[] = [
  ["ten days back", [-10 * DAY]],
  ["back to the year 1970", [-START]],
  ["ten years ahead, and back", [YEARS, -YEARS]],
  ["ten years ahead, and back further", [YEARS, -YEARS - DAY]],
];
const COLUMNS = Object.entries(DUE_TIMES).flatMap(([table, names]) => names.map((name) => [table, name] as const));

test.each(JUMPS)("where the clock is set %s nothing is further away than it was", (_what, jumps) => {
  const sqlite = file();
  let now = START;
  const random = seededRandom(1);
  const run = (): void => {
    const storage = new SqliteStorage(sqlite);
    storage.openings.begin(now, random);
    storage.close();
  };
  run();
  const db = new Database(sqlite);
  onTestFinished(() => void db.close());
  db.exec(`
    INSERT INTO rooms (nr, room_id) VALUES (1, '!r:x');
    INSERT INTO leases (room_nr, kind, holder, taken_at, upgrades, from_seq, change) VALUES (1, 'peek', 'h', 0, 0, 0, 1);
    INSERT INTO attendance (room_nr, phase, since) VALUES (1, 'present', 0);
    INSERT INTO cool_downs VALUES (1, 'flooded', '', 1, 0, 0);
    INSERT INTO tenants (id, sender, ephemeral, token_hash, hs_salt, created_at) VALUES ('t', '@t:x', 0, '', '', 0);
    INSERT INTO media_reservations VALUES ('m', 't', 0);
    INSERT INTO stand_ins VALUES ('!r:x', '@u:x', 't', NULL, 0, 0);
    INSERT INTO aliases VALUES ('#a:x', '!r:x', 'kept', NULL, NULL, 0, 0, NULL, NULL);`);
  for (const jump of jumps) {
    // As the program does while it runs: it is due within its pause, by the clock of then.
    for (const [table, column] of COLUMNS) db.prepare(`UPDATE ${table} SET ${column} = ?`).run(now + PAUSE);
    now += jump;
    run();
  }
  for (const [table, column] of COLUMNS) {
    const due = db.prepare<[], number>(`SELECT ${column} FROM ${table}`).pluck().get() ?? 0;
    expect([table, column, due - now <= PAUSE]).toEqual([table, column, true]);
  }
});
