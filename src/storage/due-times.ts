import type { Database } from "better-sqlite3";

/** Everything in the database that somebody waits for, or that a pause is counted from, by table. What is only shown is not here. */
export const DUE_TIMES: Readonly<Record<string, readonly string[]>> = {
  rooms: [
    "load_at",
    "checked_at",
    "review_at",
    "reviewed_at",
    "weighed_at",
    "invite_at",
    "changed_at",
    "upgrade_at",
    "upgrade_since",
    "upgraded_at",
    "compared_at",
    "fill_at",
  ],
  leases: ["expires_at", "ended_at"],
  attendance: ["since", "next_at", "retry_at", "leave_at"],
  cool_downs: ["until", "forget_at"],
  media_reservations: ["expires_at"],
  stand_ins: ["look_at"],
  aliases: ["since", "checked_at", "empty_since"],
};

/**
 * Times that lie ahead of a clock that was set back, brought back with it: each is as far away as it was when the database was
 * last written. The clock was wrong before or is now, and nobody can tell which; either way no pause gets longer by it.
 */
export function bringBack(db: Database, now: number, by: number): void {
  for (const [table, columns] of Object.entries(DUE_TIMES)) {
    for (const column of columns) {
      db.prepare(`UPDATE ${table} SET ${column} = ${column} - ? WHERE ${column} > ?`).run(by, now);
    }
  }
}
