import type { Database } from "better-sqlite3";
import type { JsonObject } from "../../model/json.ts";
import type { RoomAlias, RoomId, TenantId, UserId } from "../../model/ids.ts";
import type { Grant, GrantPin, Tenant, TenantAction } from "../../model/tenant.ts";
import type { StoredTenant, TenantSettings, TenantStore } from "../../policy/tenants.ts";
import type { AuditStore } from "../../storage/audit.ts";
import { Store } from "../../storage/store.ts";
import { LAST_SEQ } from "../../ledger/store/journal.ts";
import { LEASE_COLUMNS, type LeaseBook, type LeaseRow } from "../../attendance/store/lease-book.ts";

type Row = Omit<Tenant, "ephemeral" | "grants"> & Omit<StoredTenant, "tenant"> & { readonly ephemeral: number };

interface GrantRow {
  id: number;
  tenant: TenantId;
  rooms: string;
  actions: string;
  types: string | null;
  source: Grant["source"];
}

type PinRow = Omit<GrantPin, "moved"> & { grantId: number; to: RoomId | null; movedAt: number | null };

export class SqliteTenantStore extends Store implements TenantStore {
  readonly #book: LeaseBook;
  readonly #audit: AuditStore;
  readonly #all = this.sql<[], Row>(`
    SELECT id, sender, url, users, ephemeral, max_transaction AS maxTransaction, ca, paused_at AS pausedAt,
      created_at AS createdAt, token_hash AS tokenHash, hs_salt AS hsSalt
    FROM tenants ORDER BY id`);
  readonly #add = this.sql<[object]>(`
    INSERT INTO tenants (id, sender, url, users, ephemeral, max_transaction, ca, token_hash, hs_salt, created_at)
    VALUES (@id, @sender, @url, @users, @ephemeral, @maxTransaction, @ca, @tokenHash, @hsSalt, @at)
    ON CONFLICT DO NOTHING`);
  readonly #set = this.sql<[object]>(`
    UPDATE tenants SET url = @url, users = @users, ephemeral = @ephemeral, max_transaction = @maxTransaction, ca = @ca
    WHERE id = @id`);
  readonly #rotate = this.sql<[string, string, string]>("UPDATE tenants SET token_hash = ?, hs_salt = ? WHERE id = ?");
  readonly #pause = this.sql<[number | null, string]>("UPDATE tenants SET paused_at = ? WHERE id = ?");
  readonly #remove = this.sql<[string]>("DELETE FROM tenants WHERE id = ?");
  readonly #unsend = ["sent_events", "shared_annotations"].map((table) =>
    this.sql<[string]>(`DELETE FROM ${table} WHERE tenant = ?`),
  );
  // A tenant gets what comes after it was added.
  readonly #begin = this.sql<[string]>(
    `INSERT OR IGNORE INTO cursors (consumer, seq) VALUES ('tenant:' || ?, ${LAST_SEQ})`,
  );
  readonly #forget = this.sql<[string]>("DELETE FROM cursors WHERE consumer = 'tenant:' || ?");
  readonly #grants = this.sql<[], GrantRow>(
    "SELECT id, tenant, rooms, actions, types, source FROM tenant_grants ORDER BY id",
  );
  readonly #same = this.value<[GrantLists & { tenant: string }], number>(`
    SELECT id FROM tenant_grants
    WHERE tenant = @tenant AND rooms = @rooms AND actions = @actions AND types IS @types`);
  readonly #allow = this.sql<[GrantLists & { tenant: string; source: string; at: number }]>(`
    INSERT INTO tenant_grants (tenant, rooms, actions, types, source, created_at)
    VALUES (@tenant, @rooms, @actions, @types, @source, @at)`);
  readonly #disallow = this.sql<[string]>("DELETE FROM tenant_grants WHERE tenant = ?");
  /** The rooms that the aliases of grants point to. Deleted with their grants. */
  readonly #pins = this.sql<[], PinRow>(`
    SELECT grant_id AS grantId, alias, room_id AS roomId, at, moved_to AS "to", moved_at AS movedAt
    FROM grant_pins ORDER BY grant_id, alias`);
  readonly #pin = this.sql<[number, string, string, number]>(
    "INSERT OR REPLACE INTO grant_pins (grant_id, alias, room_id, at) VALUES (?, ?, ?, ?)",
  );
  readonly #unpin = this.sql<[number]>("DELETE FROM grant_pins WHERE grant_id = ?");
  readonly #moved = this.sql<{ tenant: string; alias: string; to: string; at: number }[]>(`
    UPDATE grant_pins SET moved_at = CASE WHEN moved_to IS @to THEN moved_at ELSE @at END, moved_to = @to
    WHERE alias = @alias AND room_id <> @to AND grant_id IN (SELECT id FROM tenant_grants WHERE tenant = @tenant)`);
  readonly #personas = this.value<[string], UserId>("SELECT user_id FROM personas WHERE tenant = ? ORDER BY user_id");
  readonly #leases = this.sql<[string], LeaseRow>(
    `SELECT ${LEASE_COLUMNS} FROM leases WHERE kind = 'tenant' AND holder = ? AND ended_at IS NULL`,
  );

  constructor(db: Database, book: LeaseBook, audit: AuditStore) {
    super(db);
    this.#book = book;
    this.#audit = audit;
  }

  async all(): Promise<readonly StoredTenant[]> {
    const grants = Map.groupBy(this.#grants.all(), ({ tenant }) => tenant);
    const pins = Map.groupBy(this.#pins.all(), ({ grantId }) => grantId);
    return this.#all.all().map(({ tokenHash, hsSalt, ...row }) => {
      const own = (grants.get(row.id) ?? []).map((grant) => grantOf(grant, pins.get(grant.id) ?? []));
      return { tenant: { ...row, ephemeral: row.ephemeral === 1, grants: own }, tokenHash, hsSalt };
    });
  }

  async add({ tenant, tokenHash, hsSalt }: StoredTenant, at: number): Promise<boolean> {
    const { id, url, users, ephemeral, grants } = tenant;
    return this.commit(() => {
      const row = { ...tenant, ephemeral: Number(ephemeral), tokenHash, hsSalt, at };
      if (this.#add.run(row).changes === 0) return false;
      for (const grant of grants) this.#grant(id, grant, at);
      if (url !== null) this.#begin.run(id);
      return this.#note("tenant.add", id, at, { url, users, actions: grants.flatMap(({ actions }) => actions) });
    });
  }

  async set(id: TenantId, settings: TenantSettings, at: number): Promise<boolean> {
    const { url, users, ephemeral, maxTransaction, ca } = settings;
    return this.commit(() => {
      if (this.#set.run({ ...settings, ephemeral: Number(ephemeral), id }).changes === 0) return false;
      // A tenant that gets a URL only now gets events from now on.
      if (url === null) this.#forget.run(id);
      else this.#begin.run(id);
      const detail = { url, users, ephemeral: String(ephemeral), max_transaction: maxTransaction };
      return this.#note("tenant.set", id, at, { ...detail, ca: ca === null ? null : "its own" });
    });
  }

  async rotate(id: TenantId, tokenHash: string, hsSalt: string, at: number): Promise<boolean> {
    return this.commit(
      () => this.#rotate.run(tokenHash, hsSalt, id).changes > 0 && this.#note("tenant.rotate", id, at, {}),
    );
  }

  async allow(
    id: TenantId,
    grant: Grant,
    { only, actor }: { readonly only: boolean; readonly actor: string },
    at: number,
  ): Promise<boolean> {
    return this.commit(() => {
      if (!this.#all.all().some((row) => row.id === id)) return false;
      if (only) this.#disallow.run(id);
      this.#grant(id, grant, at);
      const { types, source } = grant;
      const detail = noted(grant, { types: types === null ? null : [...types], source });
      return this.#note("tenant.allow", id, at, { ...detail, only: String(only) }, actor);
    });
  }

  async repin(id: TenantId, grant: Grant, at: number): Promise<boolean> {
    return this.commit(() => {
      const same = this.#same.all({ tenant: id, ...listsOf(grant) });
      for (const grantId of same) this.#pinTo(grantId, grant);
      return same.length > 0 && this.#note("tenant.confirm", id, at, noted(grant));
    });
  }

  async noteMoved(tenant: TenantId, alias: RoomAlias, to: RoomId, at: number): Promise<void> {
    this.#moved.run({ tenant, alias, to, at });
  }

  async pause(id: TenantId, isPaused: boolean, at: number): Promise<boolean> {
    const action = isPaused ? "tenant.pause" : "tenant.resume";
    return this.commit(() => this.#pause.run(isPaused ? at : null, id).changes > 0 && this.#note(action, id, at, {}));
  }

  async personaIn(id: TenantId, isMeant: (userId: UserId) => boolean): Promise<UserId | null> {
    for (const userId of this.#personas.iterate(id)) if (isMeant(userId)) return userId;
    return null;
  }

  async remove(id: TenantId, at: number): Promise<{ readonly leasesEnded: number } | null> {
    return this.commit(() => {
      if (this.#remove.run(id).changes === 0) return null;
      for (const unsend of this.#unsend) unsend.run(id);
      const leases = this.#leases.all(id);
      for (const lease of leases) {
        this.#book.endOne(lease, "tenant-removed", at);
        this.#book.wake(lease.room_nr, at);
      }
      this.#forget.run(id);
      this.#note("tenant.remove", id, at, { leases_ended: leases.length });
      return { leasesEnded: leases.length };
    });
  }

  #grant(tenant: TenantId, grant: Grant, at: number): void {
    const { lastInsertRowid } = this.#allow.run({ tenant, ...listsOf(grant), source: grant.source, at });
    this.#pinTo(Number(lastInsertRowid), grant);
  }

  #pinTo(grantId: number, { pins = [] }: Grant): void {
    this.#unpin.run(grantId);
    for (const { alias, roomId, at } of pins) this.#pin.run(grantId, alias, roomId, at);
  }

  /** Writes an audit row. Returns true: the deed is done. */
  #note(action: string, id: TenantId, at: number, detail: JsonObject, actor = "operator"): true {
    this.#audit.write({ actor, action, outcome: "done", roomId: null, detail: { tenant: id, ...detail } }, at);
    return true;
  }
}

type GrantLists = Pick<GrantRow, "rooms" | "actions" | "types">;

function listsOf({ rooms, actions, types }: Grant): GrantLists {
  const list = types === null ? null : JSON.stringify(types);
  return { rooms: JSON.stringify(rooms), actions: JSON.stringify(actions), types: list };
}

/** For the audit: what a grant allows, and the rooms of its aliases. */
function noted({ rooms, actions, pins = [] }: Grant, more: JsonObject = {}): JsonObject {
  const standsFor = pins.map(({ alias, roomId }) => `${alias} ${roomId}`);
  return { rooms: [...rooms], actions: [...actions], ...more, ...(pins.length === 0 ? {} : { stands_for: standsFor }) };
}

function grantOf({ rooms, actions, types, source }: GrantRow, pins: readonly PinRow[]): Grant {
  return {
    rooms: JSON.parse(rooms) as string[],
    actions: JSON.parse(actions) as TenantAction[],
    types: types === null ? null : (JSON.parse(types) as string[]),
    source,
    ...(pins.length === 0 ? {} : { pins: pins.map(pinOf) }),
  };
}

function pinOf({ alias, roomId, at, to, movedAt }: PinRow): GrantPin {
  return { alias, roomId, at, moved: to === null || movedAt === null ? null : { to, at: movedAt } };
}
