import type { Database, Statement } from "better-sqlite3";
import type { RoomAlias, RoomId, TenantId, UserId } from "../../model/ids.ts";
import type { Grant, GrantPin, TenantAction } from "../../model/tenant.ts";
import type { StoredTenant, TenantSettings, TenantStore } from "../../policy/tenants.ts";
import type { AuditStore } from "../../storage/audit.ts";
import { GrantPins } from "./grant-pins.ts";
import { LAST_SEQ } from "../../ledger/store/journal.ts";
import { LEASE_COLUMNS, type LeaseBook, type LeaseRow } from "../../attendance/store/lease-book.ts";

interface Row {
  id: string;
  sender: string;
  url: string | null;
  users: string | null;
  ephemeral: number;
  max_transaction: number | null;
  ca: string | null;
  paused_at: number | null;
  token_hash: string;
  hs_salt: string;
  created_at: number;
}

interface GrantRow {
  id: number;
  tenant: string;
  rooms: string;
  actions: string;
  types: string | null;
  source: string;
}

export class SqliteTenantStore implements TenantStore {
  readonly #db: Database;
  readonly #book: LeaseBook;
  readonly #audit: AuditStore;
  readonly #all: Statement<[], Row>;
  readonly #grants: Statement<[], GrantRow>;
  readonly #add: Statement;
  readonly #pins: GrantPins;
  readonly #allow: Statement;
  readonly #disallow: Statement<[string]>;
  readonly #pause: Statement<[number | null, string]>;
  readonly #begin: Statement<[string]>;
  readonly #forget: Statement<[string]>;
  readonly #personas: Statement<[string], string>;
  readonly #rotate: Statement<[string, string, string]>;
  readonly #set: Statement<[string | null, string | null, number, number | null, string | null, string]>;
  readonly #remove: Statement<[string]>;
  readonly #unsend: readonly Statement<[string]>[];
  readonly #leases: Statement<[string], LeaseRow>;

  constructor(db: Database, book: LeaseBook, audit: AuditStore) {
    this.#db = db;
    this.#book = book;
    this.#audit = audit;
    this.#all = db.prepare("SELECT * FROM tenants ORDER BY id");
    this.#add = db.prepare(
      "INSERT INTO tenants (id, sender, url, users, ephemeral, max_transaction, ca, token_hash, hs_salt, created_at) " +
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    );
    this.#grants = db.prepare("SELECT id, tenant, rooms, actions, types, source FROM tenant_grants ORDER BY id");
    this.#pins = new GrantPins(db);
    this.#allow = db.prepare(
      "INSERT INTO tenant_grants (tenant, rooms, actions, types, source, created_at) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#disallow = db.prepare("DELETE FROM tenant_grants WHERE tenant = ?");
    this.#pause = db.prepare("UPDATE tenants SET paused_at = ? WHERE id = ?");
    // A tenant gets what comes after it was added.
    this.#begin = db.prepare(`INSERT OR IGNORE INTO cursors (consumer, seq) VALUES ('tenant:' || ?, ${LAST_SEQ})`);
    this.#forget = db.prepare("DELETE FROM cursors WHERE consumer = 'tenant:' || ?");
    this.#personas = db
      .prepare<[string], string>("SELECT user_id FROM personas WHERE tenant = ? ORDER BY user_id")
      .pluck();
    this.#rotate = db.prepare("UPDATE tenants SET token_hash = ?, hs_salt = ? WHERE id = ?");
    this.#set = db.prepare(
      "UPDATE tenants SET url = ?, users = ?, ephemeral = ?, max_transaction = ?, ca = ? WHERE id = ?",
    );
    this.#remove = db.prepare("DELETE FROM tenants WHERE id = ?");
    this.#unsend = ["sent_events", "shared_annotations"].map((table) =>
      db.prepare(`DELETE FROM ${table} WHERE tenant = ?`),
    );
    this.#leases = db.prepare(
      `SELECT ${LEASE_COLUMNS} FROM leases WHERE kind = 'tenant' AND holder = ? AND ended_at IS NULL`,
    );
  }

  async all(): Promise<readonly StoredTenant[]> {
    const grants = Map.groupBy(this.#grants.all(), ({ tenant }) => tenant);
    const pins = this.#pins.all();
    return this.#all.all().map((row) => ({
      tenant: {
        id: row.id as TenantId,
        sender: row.sender as UserId,
        url: row.url,
        users: row.users,
        grants: (grants.get(row.id) ?? []).map((grant) => grantOf(grant, pins.get(grant.id) ?? [])),
        ephemeral: row.ephemeral === 1,
        maxTransaction: row.max_transaction,
        ca: row.ca,
        pausedAt: row.paused_at,
        createdAt: row.created_at,
      },
      tokenHash: row.token_hash,
      hsSalt: row.hs_salt,
    }));
  }

  async add({ tenant, tokenHash, hsSalt }: StoredTenant, at: number): Promise<boolean> {
    const { id, sender, url, users, ephemeral, maxTransaction, ca, grants } = tenant;
    return this.#db
      .transaction(() => {
        const row = [id, sender, url, users, ephemeral ? 1 : 0, maxTransaction, ca, tokenHash, hsSalt, at];
        if (this.#add.run(...row).changes === 0) return false;
        for (const grant of grants) this.#grant(id, grant, at);
        if (url !== null) this.#begin.run(id);
        this.#note("tenant.add", id, at, { url, users, actions: grants.flatMap(({ actions }) => actions) });
        return true;
      })
      .immediate();
  }

  async set(id: TenantId, settings: TenantSettings, at: number): Promise<boolean> {
    const { url, users, ephemeral, maxTransaction, ca } = settings;
    return this.#db
      .transaction(() => {
        if (this.#set.run(url, users, Number(ephemeral), maxTransaction, ca, id).changes === 0) return false;
        // A tenant that gets a URL only now gets events from now on.
        if (url === null) this.#forget.run(id);
        else this.#begin.run(id);
        const detail = { url, users, ephemeral: String(ephemeral), max_transaction: maxTransaction };
        this.#note("tenant.set", id, at, { ...detail, ca: ca === null ? null : "its own" });
        return true;
      })
      .immediate();
  }

  async rotate(id: TenantId, tokenHash: string, hsSalt: string, at: number): Promise<boolean> {
    return this.#db
      .transaction(() => {
        const rotated = this.#rotate.run(tokenHash, hsSalt, id).changes > 0;
        if (rotated) this.#note("tenant.rotate", id, at, {});
        return rotated;
      })
      .immediate();
  }

  async allow(
    id: TenantId,
    grant: Grant,
    { only, actor }: { readonly only: boolean; readonly actor: string },
    at: number,
  ): Promise<boolean> {
    return this.#db
      .transaction(() => {
        if (!this.#all.all().some((row) => row.id === id)) return false;
        if (only) this.#disallow.run(id);
        this.#grant(id, grant, at);
        const { rooms, actions, types, source } = grant;
        const detail = { rooms: [...rooms], actions: [...actions], types: types === null ? null : [...types], source };
        this.#note("tenant.allow", id, at, { ...detail, ...standsFor(grant), only: String(only) }, actor);
        return true;
      })
      .immediate();
  }

  async repin(id: TenantId, grant: Grant, at: number): Promise<boolean> {
    return this.#db
      .transaction(() => {
        const { rooms, actions, types } = grant;
        const same = this.#grants.all().filter((row) => row.tenant === id && isSame(row, { rooms, actions, types }));
        for (const row of same) this.#pins.replace(row.id, grant.pins ?? []);
        if (same.length === 0) return false;
        this.#note("tenant.confirm", id, at, { rooms: [...rooms], actions: [...actions], ...standsFor(grant) });
        return true;
      })
      .immediate();
  }

  async noteMoved(id: TenantId, alias: RoomAlias, to: RoomId, at: number): Promise<void> {
    this.#pins.noteMoved(id, alias, to, at);
  }

  async pause(id: TenantId, isPaused: boolean, at: number): Promise<boolean> {
    return this.#db
      .transaction(() => {
        if (this.#pause.run(isPaused ? at : null, id).changes === 0) return false;
        this.#note(isPaused ? "tenant.pause" : "tenant.resume", id, at, {});
        return true;
      })
      .immediate();
  }

  async personaIn(id: TenantId, isMeant: (userId: UserId) => boolean): Promise<UserId | null> {
    for (const userId of this.#personas.iterate(id)) if (isMeant(userId as UserId)) return userId as UserId;
    return null;
  }

  async remove(id: TenantId, at: number): Promise<{ readonly leasesEnded: number } | null> {
    return this.#db
      .transaction(() => {
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
      })
      .immediate();
  }

  #grant(id: TenantId, { rooms, actions, types, source, pins = [] }: Grant, at: number): void {
    const list = types === null ? null : JSON.stringify(types);
    const { lastInsertRowid } = this.#allow.run(id, JSON.stringify(rooms), JSON.stringify(actions), list, source, at);
    this.#pins.replace(Number(lastInsertRowid), pins);
  }

  #note(
    action: string,
    id: TenantId,
    at: number,
    detail: Record<string, string | number | null | string[]>,
    actor = "operator",
  ): void {
    this.#audit.write({ actor, action, outcome: "done", roomId: null, detail: { tenant: id, ...detail } }, at);
  }
}

/** For the audit: the rooms of a grant's aliases. */
function standsFor({ pins = [] }: Grant): Record<string, string[]> {
  return pins.length === 0 ? {} : { stands_for: pins.map(({ alias, roomId }) => `${alias} ${roomId}`) };
}

function isSame(row: GrantRow, { rooms, actions, types }: Pick<Grant, "rooms" | "actions" | "types">): boolean {
  const list = types === null ? null : JSON.stringify(types);
  return row.rooms === JSON.stringify(rooms) && row.actions === JSON.stringify(actions) && row.types === list;
}

function grantOf(row: GrantRow, pins: readonly GrantPin[]): Grant {
  return {
    rooms: JSON.parse(row.rooms) as string[],
    actions: JSON.parse(row.actions) as TenantAction[],
    types: row.types === null ? null : (JSON.parse(row.types) as string[]),
    source: row.source as Grant["source"],
    ...(pins.length === 0 ? {} : { pins }),
  };
}
