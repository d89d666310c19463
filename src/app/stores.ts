import type { Database } from "better-sqlite3";
import { SqliteAliasStore } from "../aliases/store.ts";
import { SqliteAnnotationStore } from "../tenants/store/annotations.ts";
import { AttendanceStore } from "../attendance/store/attendance.ts";
import { AuditStore } from "../storage/audit.ts";
import { SqliteBackups } from "../storage/backup.ts";
import { ChangeWriter } from "../ledger/store/changes.ts";
import { CoolDownStore } from "../policy/store/cool-downs.ts";
import { CoverageStore } from "../tenants/store/coverage.ts";
import { DeliveryStore } from "../tenants/store/deliveries.ts";
import { tellingFaults, type DiskFault } from "../storage/faults.ts";
import { JournalStore } from "../ledger/store/journal.ts";
import { LeaseBook } from "../attendance/store/lease-book.ts";
import { LeaseFollower } from "../attendance/store/lease-follower.ts";
import { LeaseChangesStore } from "../tenants/store/lease-changes.ts";
import { LeaseStore } from "../attendance/store/leases.ts";
import { LedgerStore } from "../ledger/store/ledger.ts";
import { LoadStore } from "../ledger/store/loads.ts";
import { openDatabase, type Durability } from "../storage/open.ts";
import { SqliteMakingStore } from "../tenants/store/room-makings.ts";
import { SqliteMediaStore } from "../tenants/store/media.ts";
import { OpeningStore } from "../ledger/store/openings.ts";
import { Memo, WriteCount } from "../storage/memo.ts";
import { OverviewStore } from "../admin/store.ts";
import { PeekStore, PseudouserStore } from "../peek/store.ts";
import { SqlitePersonaStore } from "../tenants/store/personas.ts";
import { SqliteReconcileStore } from "../ledger/store/comparing.ts";
import { OwnInviteStore } from "../attendance/store/own-invites.ts";
import { PinStore } from "../policy/store/pins.ts";
import { SqliteSentStore } from "../tenants/store/sent.ts";
import { ReviewStore } from "../attendance/store/reviews.ts";
import { Redactions } from "../ledger/store/redactions.ts";
import { RetentionStore } from "../ledger/store/retention.ts";
import { RoomNumbers } from "../ledger/store/room-numbers.ts";
import { RuleStore } from "../policy/store/rules.ts";
import { StandInStore } from "../attendance/store/stand-ins.ts";
import { SqliteUnusedRoomStore } from "../ledger/store/unused-rooms.ts";
import { SyncFactsStore } from "../tenants/store/sync-facts.ts";
import { SqliteTenantStore } from "../tenants/store/tenants.ts";
import { UpgradeStore } from "../attendance/store/upgrades.ts";

/** All stores over one SQLite file and one connection. One process writes, and each call is one transaction. */
export class SqliteStorage {
  readonly ledger: LedgerStore;
  readonly journal: JournalStore;
  readonly loads: LoadStore;
  readonly redactions: Redactions;
  readonly leases: LeaseStore;
  readonly leaseChanges: LeaseChangesStore;
  readonly syncFacts: SyncFactsStore;
  readonly peeks: PeekStore;
  readonly coverage: CoverageStore;
  readonly ownInvites: OwnInviteStore;
  readonly unusedRooms: SqliteUnusedRoomStore;
  readonly coolDowns: CoolDownStore;
  readonly aliases: SqliteAliasStore;
  readonly reviews: ReviewStore;
  readonly upgrades: UpgradeStore;
  readonly rules: RuleStore;
  readonly pins: PinStore;
  readonly attendance: AttendanceStore;
  readonly tenants: SqliteTenantStore;
  readonly personas: SqlitePersonaStore;
  readonly media: SqliteMediaStore;
  readonly standIns: StandInStore;
  readonly makings: SqliteMakingStore;
  readonly sent: SqliteSentStore;
  readonly annotations: SqliteAnnotationStore;
  readonly deliveries: DeliveryStore;
  readonly audit: AuditStore;
  readonly overview: OverviewStore;
  readonly reconcile: SqliteReconcileStore;
  readonly pseudousers: PseudouserStore;
  readonly history: RetentionStore;
  readonly backups: SqliteBackups;
  readonly openings: OpeningStore;
  readonly #db: Database;

  /**
   * @param faulted called whenever the disk fails
   * @throws EmissaryError `bad-config` if the file cannot be opened or belongs to a newer program.
   */
  constructor(path: string, durability: Durability = "full", faulted: (fault: DiskFault) => void = () => {}) {
    const db = openDatabase(path, durability);
    const rooms = new RoomNumbers(db);
    this.#db = db;
    const writes = new WriteCount(db);
    this.audit = new AuditStore(db, writes);
    this.sent = new SqliteSentStore(db, this.audit);
    const redactions = new Redactions(db);
    this.redactions = redactions;
    const book = new LeaseBook(db, rooms, this.audit);
    this.aliases = new SqliteAliasStore(db, rooms, this.audit);
    this.coolDowns = new CoolDownStore(db, rooms, this.audit, writes);
    const changes = new ChangeWriter(db, rooms, redactions);
    this.ledger = new LedgerStore(db, rooms, changes, redactions, new Memo(writes), new Memo(writes));
    this.reviews = new ReviewStore(db, book, this.coolDowns);
    this.upgrades = new UpgradeStore(db, book);
    this.journal = new JournalStore(db, redactions, new Memo(writes, 1));
    this.loads = new LoadStore(db, rooms, changes);
    this.leases = new LeaseStore(db, book, writes);
    this.leaseChanges = new LeaseChangesStore(db);
    this.syncFacts = new SyncFactsStore(db);
    this.peeks = new PeekStore(db, {
      device: new Memo(writes),
      peeks: new Memo(writes),
      newest: new Memo(writes, 1),
    });
    this.coverage = new CoverageStore(db, new Memo(writes, 32));
    this.ownInvites = new OwnInviteStore(db);
    this.unusedRooms = new SqliteUnusedRoomStore(db);
    this.attendance = new AttendanceStore(db, book, this.coolDowns, writes);
    const pins = new PinStore(db, this.audit);
    this.pins = pins;
    this.rules = new RuleStore(db, this.audit, pins);
    this.tenants = new SqliteTenantStore(db, book, this.audit);
    this.personas = new SqlitePersonaStore(db, rooms, book);
    this.annotations = new SqliteAnnotationStore(db);
    this.media = new SqliteMediaStore(db);
    this.standIns = new StandInStore(db);
    this.makings = new SqliteMakingStore(db);
    this.deliveries = new DeliveryStore(db, this.audit);
    this.overview = new OverviewStore(db, book);
    this.pseudousers = new PseudouserStore(db);
    this.history = new RetentionStore(db);
    this.backups = new SqliteBackups(db, this.audit);
    this.reconcile = new SqliteReconcileStore(db, changes);
    this.openings = new OpeningStore(db, this.audit, path);
    // These share the commit of a fact; the ledger knows none of them.
    changes.follow(new LeaseFollower(db, book, this.coolDowns));
    changes.follow(this.ownInvites);
    changes.follow(this.reconcile);
    // Only for outside calls: among themselves the stores are unwrapped.
    for (const [name, store] of Object.entries(this) as [string, object][]) {
      Object.assign(this, { [name]: tellingFaults(store, faulted) });
    }
  }

  /** Folds the write-ahead log into the file and closes it. */
  close(): void {
    this.#db.close();
  }
}
