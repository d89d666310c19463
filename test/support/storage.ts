import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { AttendanceStore } from "../../src/attendance/store/attendance.ts";
import type { StandInStore } from "../../src/attendance/store/stand-ins.ts";
import type { VisitStore } from "../../src/attendance/store/visits.ts";
import type { Coverage } from "../../src/tenants/feed/contracts.ts";
import type { MediaReservations, PersonaStore, RoomMakings } from "../../src/tenants/act/contracts.ts";
import type { AliasStore } from "../../src/aliases/contracts.ts";
import type { RoomOverview } from "../../src/admin/contracts.ts";
import type { AuditStore } from "../../src/storage/audit.ts";
import type { PeekStore } from "../../src/peek/msc2753/contracts.ts";
import type { DeliveryStore } from "../../src/tenants/delivery/contracts.ts";
import type { HoleStore } from "../../src/ledger/comparing/holes.ts";
import type { ReconcileStore } from "../../src/ledger/comparing/contracts.ts";
import type { LeaseStore } from "../../src/attendance/store/leases.ts";
import type { ReviewStore } from "../../src/attendance/store/reviews.ts";
import type { UpgradeStore } from "../../src/attendance/store/upgrades.ts";
import type { OwnInviteStore } from "../../src/attendance/store/own-invites.ts";
import type { PruneStore } from "../../src/ledger/cleaning.ts";
import type { UnusedRoomStore } from "../../src/ledger/cleaning.ts";
import type { HistoryStore } from "../../src/ledger/retention.ts";
import type { Journal } from "../../src/ledger/journal.ts";
import type { Ledger, LedgerWriter, RoomLoads } from "../../src/ledger/ledger.ts";
import type { CoolDownStore } from "../../src/policy/store/cool-downs.ts";
import type { PinStore } from "../../src/policy/store/pins.ts";
import type { RuleStore } from "../../src/policy/store/rules.ts";
import type { TenantStore } from "../../src/policy/tenants.ts";
import { SqliteStorage } from "../../src/app/stores.ts";
import { rows } from "./database.ts";

/** Every contract that a database fulfils, as one program sees it between opening and closing. */
export interface Stores {
  readonly standIns: StandInStore;
  readonly makings: RoomMakings;
  readonly ledger: Ledger & LedgerWriter;
  readonly journal: Journal;
  readonly loads: RoomLoads;
  readonly leases: LeaseStore;
  readonly peeks: PeekStore;
  readonly coverage: Coverage;
  readonly visits: VisitStore;
  readonly attendance: AttendanceStore;
  readonly tenants: TenantStore;
  readonly deliveries: DeliveryStore;
  readonly personas: PersonaStore;
  readonly media: MediaReservations;
  readonly audit: Pick<AuditStore, "newest" | "noteAll">;
  readonly overview: RoomOverview;
  readonly history: HistoryStore;
  readonly reconcile: ReconcileStore & HoleStore;
  readonly coolDowns: CoolDownStore;
  readonly aliases: AliasStore;
  readonly ownInvites: OwnInviteStore;
  readonly unusedRooms: UnusedRoomStore;
  readonly reviews: ReviewStore;
  readonly upgrades: UpgradeStore;
  readonly rules: RuleStore;
  readonly pins: PinStore;
  readonly redactions: PruneStore;
  close(): void;
}

/** One test's own database. */
export interface TestDatabase {
  /** Opens it, empty at first. */
  open(): Stores;
  /** Opens what a power cut at this moment leaves of it. The stores that were open before write to nowhere from now on. */
  openAfterCrash(): Stores;
  /** All that stands in it, as text. */
  dump(): string;
  /** Closes and removes it; done by itself at the end of the test. */
  remove(): void;
}

/** The databases that the store suites run on. PostgreSQL becomes a second line. */
export const DATABASES: readonly { readonly name: string; readonly make: () => TestDatabase }[] = [
  { name: "SQLite", make: makeSqlite },
];

function makeSqlite(): TestDatabase {
  const folder = mkdtempSync(join(tmpdir(), "emissary-store-"));
  const opened = new Set<SqliteStorage>();
  let copies = 0;
  let path = join(folder, "emissary-0.db");
  const remove = (): void => {
    for (const storage of opened) storage.close();
    rmSync(folder, { recursive: true, force: true });
  };
  onTestFinished(remove);
  const open = (): Stores => {
    const storage = new SqliteStorage(path);
    opened.add(storage);
    return storage;
  };
  return {
    open,
    openAfterCrash() {
      copies += 1;
      const copy = join(folder, `emissary-${copies}.db`);
      // What is committed is in the file and its log; what is not is in memory only.
      for (const suffix of ["", "-wal"]) if (existsSync(path + suffix)) copyFileSync(path + suffix, copy + suffix);
      path = copy;
      return open();
    },
    dump() {
      const tables = rows<{ name: string }>(path, "SELECT name FROM sqlite_schema WHERE type = 'table'");
      const all = tables.flatMap(({ name }) => rows<Record<string, unknown>>(path, `SELECT * FROM "${name}"`));
      return all
        .flatMap((row) =>
          Object.values(row).map((value) => (Buffer.isBuffer(value) ? value.toString() : String(value))),
        )
        .join("\n");
    },
    remove,
  };
}

/**
 * The same stores, but with something between a call, its deed and its answer, as over a network: whoever acts on what it has
 * read may find that others acted meanwhile. `turns` says how many others have their turn each time.
 */
export function unhurried(stores: Stores, turns: () => number): Stores {
  const pause = async (): Promise<void> => {
    for (let left = turns(); left > 0; left -= 1) await Promise.resolve();
  };
  const slow = <Store extends object>(store: Store): Store =>
    new Proxy(store, {
      get(_target, key) {
        const method = (store as Record<PropertyKey, unknown>)[key] as (...args: unknown[]) => unknown;
        return async (...args: unknown[]) => {
          await pause();
          const answer = await method.apply(store, args);
          await pause();
          return answer;
        };
      },
    });
  return {
    ledger: slow(stores.ledger),
    journal: slow(stores.journal),
    loads: slow(stores.loads),
    leases: slow(stores.leases),
    peeks: slow(stores.peeks),
    coverage: slow(stores.coverage),
    visits: slow(stores.visits),
    attendance: slow(stores.attendance),
    tenants: slow(stores.tenants),
    deliveries: slow(stores.deliveries),
    personas: slow(stores.personas),
    media: slow(stores.media),
    standIns: slow(stores.standIns),
    makings: slow(stores.makings),
    audit: slow(stores.audit),
    overview: slow(stores.overview),
    coolDowns: slow(stores.coolDowns),
    ownInvites: slow(stores.ownInvites),
    unusedRooms: slow(stores.unusedRooms),
    reviews: slow(stores.reviews),
    upgrades: slow(stores.upgrades),
    rules: slow(stores.rules),
    pins: slow(stores.pins),
    aliases: slow(stores.aliases),
    reconcile: slow(stores.reconcile),
    history: slow(stores.history),
    redactions: slow(stores.redactions),
    close: () => stores.close(),
  };
}
