import DatabaseConstructor from "better-sqlite3";
import { SqliteStorage } from "../../src/app/stores.ts";
import { SERVER } from "./homeserver.ts";

const OWN = `@:${SERVER}`;
/** As many of the newest events as a daemon reads back at start, in full transactions. */
const JOURNAL = { transactions: 500, events: 100 };

/**
 * Makes a database of a daemon that is in `rooms` rooms, with `memberships` others spread over them, and in which nothing is due:
 * each room is loaded, attended and has a lease that does not end.
 */
export function populate(path: string, rooms: number, memberships: number): void {
  new SqliteStorage(path).close();
  const db = new DatabaseConstructor(path);
  // Nobody misses a half-made database.
  db.pragma("synchronous = OFF");
  db.pragma("foreign_keys = OFF");
  const numbers = (to: string): string =>
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${to})`;
  const fill = db.transaction(() => {
    db.prepare(
      `${numbers("@rooms")} INSERT INTO rooms (nr, room_id, load, load_generation, own_membership, own_event, joined_members) ` +
        "SELECT i, printf('!room%010d:remote.example', i), 'loaded', 1, 'join', printf('$own%040d', i), 1 + @each FROM n",
    ).run({ rooms, each: memberships / rooms });
    db.prepare(
      `${numbers("@rooms")} INSERT INTO room_state (room_nr, field, value, event_id, seq, generation) ` +
        "SELECT i, 'join_rule', 'public', printf('$rule%039d', i), 1, 1 FROM n",
    ).run({ rooms });
    db.prepare(
      "INSERT INTO members (room_nr, user_id, membership, event_id, sender, seq, generation) SELECT nr, @own, 'join', own_event, @own, 1, 1 FROM rooms",
    ).run({ own: OWN });
    db.prepare(
      `${numbers("@each")} INSERT INTO members (room_nr, user_id, membership, event_id, sender, displayname, seq, generation) ` +
        "SELECT nr, printf('@user%07d:remote.example', i), 'join', printf('$member%09d-%025d', nr, i), " +
        "printf('@user%07d:remote.example', i), 'A user of the benchmark', 1, 1 FROM rooms CROSS JOIN n ORDER BY nr, i",
    ).run({ each: memberships / rooms });
    db.prepare(
      "INSERT INTO leases (room_nr, kind, holder, taken_at, upgrades, from_seq, change) SELECT nr, 'operator', 'operator', 1, 0, 0, nr FROM rooms",
    ).run();
    db.prepare("INSERT INTO attendance (room_nr, phase, since) SELECT nr, 'present', 1 FROM rooms").run();
    writeJournal(db);
  });
  fill();
  db.close();
}

function writeJournal(db: DatabaseConstructor.Database): void {
  const append = db.prepare(
    "INSERT INTO journal (first_seq, events, received_at, txn_id, digest, event_ids, body) VALUES (?, ?, 1, ?, ?, ?, ?)",
  );
  const body = Buffer.from(JSON.stringify({ events: [] }).padEnd(50_000));
  for (let row = 0; row < JOURNAL.transactions; row += 1) {
    const first = 1 + row * JOURNAL.events;
    const ids = Array.from(
      { length: JOURNAL.events },
      (_, index) => `$event${String(first + index).padStart(38, "0")}`,
    );
    append.run(first, JOURNAL.events, `${row}`, `digest ${row}`, JSON.stringify(ids), body);
  }
}
