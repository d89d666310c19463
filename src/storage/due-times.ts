import type { Database } from "better-sqlite3";

/** Every time that something waits for or that a pause counts from, by table; no times for display only. */
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
 * Moves times back with a clock that was set back: each stays as far away as when the database was last written. No
 * pause gets longer, whichever time was wrong.
 */
export function bringBack(db: Database, now: number, by: number): void {
  for (const [table, columns] of Object.entries(DUE_TIMES)) {
    for (const column of columns) {
      db.prepare(`UPDATE ${table} SET ${column} = ${column} - ? WHERE ${column} > ?`).run(by, now);
    }
  }
}
