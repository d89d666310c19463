/** The tables of Emissary's database that the play shows. */
import type { Database } from "./database.ts";
import type { Screen } from "./screen.ts";

export function showLedger(database: Database, screen: Screen): void {
  screen.rows("emissary.db, members", database.members());
  screen.rows("emissary.db, rooms", database.rooms());
  screen.rows("emissary.db, room_state", database.state());
  showLeasesAndAttendance(database, screen);
}

export function showLeasesAndAttendance(database: Database, screen: Screen): void {
  screen.rows("emissary.db, leases", database.leases());
  screen.rows("emissary.db, attendance", database.attendance());
}
