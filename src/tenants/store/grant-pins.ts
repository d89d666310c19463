import type { Database, Statement } from "better-sqlite3";
import type { RoomAlias, RoomId, TenantId } from "../../model/ids.ts";
import type { GrantPin } from "../../model/tenant.ts";

interface Row {
  grant_id: number;
  alias: string;
  room_id: string;
  at: number;
  moved_to: string | null;
  moved_at: number | null;
}

/** The rooms that the aliases of grants point to. Deleted with their grants. */
export class GrantPins {
  readonly #all: Statement<[], Row>;
  readonly #put: Statement<[number, string, string, number]>;
  readonly #clear: Statement<[number]>;
  readonly #moved: Statement<{ tenant: string; alias: string; to: string; at: number }>;

  constructor(db: Database) {
    this.#all = db.prepare("SELECT * FROM grant_pins ORDER BY grant_id, alias");
    this.#put = db.prepare("INSERT OR REPLACE INTO grant_pins (grant_id, alias, room_id, at) VALUES (?, ?, ?, ?)");
    this.#clear = db.prepare("DELETE FROM grant_pins WHERE grant_id = ?");
    this.#moved = db.prepare(
      "UPDATE grant_pins SET moved_at = CASE WHEN moved_to IS @to THEN moved_at ELSE @at END, moved_to = @to " +
        "WHERE alias = @alias AND room_id <> @to AND grant_id IN (SELECT id FROM tenant_grants WHERE tenant = @tenant)",
    );
  }

  /** Keyed by the numbers of grants. */
  all(): ReadonlyMap<number, readonly GrantPin[]> {
    const byGrant = Map.groupBy(this.#all.all(), ({ grant_id }) => grant_id);
    return new Map([...byGrant].map(([grant, rows]) => [grant, rows.map(pinOf)]));
  }

  /** Called inside the transaction that writes the grant. */
  replace(grant: number, pins: readonly GrantPin[]): void {
    this.#clear.run(grant);
    for (const { alias, roomId, at } of pins) this.#put.run(grant, alias, roomId, at);
  }

  noteMoved(tenant: TenantId, alias: RoomAlias, to: RoomId, at: number): void {
    this.#moved.run({ tenant, alias, to, at });
  }
}

function pinOf({ alias, room_id, at, moved_to, moved_at }: Row): GrantPin {
  return {
    alias: alias as RoomAlias,
    roomId: room_id as RoomId,
    at,
    moved: moved_to === null || moved_at === null ? null : { to: moved_to as RoomId, at: moved_at },
  };
}
