/** The database's openings: copies, restores and crashes in any order, on the real engine. */
import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Feed } from "../../src/tenants/feed/feed.ts";
import { NO_FILTER } from "../../src/tenants/sync/filter.ts";
import { TenantSync } from "../../src/tenants/sync/sync.ts";
import { transactionOf } from "../../src/tenants/delivery/piece.ts";
import { Openings, type Opened } from "../../src/ledger/openings.ts";
import type { Random } from "../../src/model/clock.ts";
import type { RoomEvent } from "../../src/model/event.ts";
import type { TenantId } from "../../src/model/ids.ts";
import type { JsonObject } from "../../src/model/json.ts";
import { SqliteStorage } from "../../src/app/stores.ts";
import { ManualClock, START } from "../support/clock.ts";
import { message, OWN, recordOf, ROOM } from "../support/events.ts";
import { readPieces } from "../support/sync-answer.ts";
import { tenant, viewer } from "../support/tenants.ts";

const BOT = tenant("bot", { url: "http://127.0.0.1:1" });
const ID = "bot" as TenantId;
const NEVER = new AbortController().signal;
const LEASE = { change: 0, roomId: ROOM, at: START, ended: null };
const random: Random = { fraction: Math.random, token: (bytes) => randomBytes(bytes).toString("base64url") };

function folder(): string {
  const made = mkdtempSync(path.join(tmpdir(), "emissary-restore-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function copyFiles(from: string, to: string, suffixes: readonly string[] = ["", "-wal", ".seen"]): void {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(to + suffix, { force: true });
  for (const suffix of suffixes) if (existsSync(from + suffix)) copyFileSync(from + suffix, to + suffix);
}

describe("an opening", () => {
  const files = (): { sqlite: string; copy: string } => {
    const at = folder();
    return { sqlite: path.join(at, "emissary.db"), copy: path.join(at, "copy.db") };
  };
  const open = (sqlite: string, now = START): { storage: SqliteStorage; opened: Opened } => {
    const storage = new SqliteStorage(sqlite);
    return { storage, opened: storage.openings.begin(now, random) };
  };

  test("goes on from the former one after a stop and after a crash, under another name", async () => {
    const { sqlite } = files();
    const first = open(sqlite);
    expect(first.opened).toMatchObject({ earlier: [], restored: null });
    first.storage.close();
    const second = open(sqlite);
    expect(second.opened).toMatchObject({ earlier: [{ name: first.opened.name }], restored: null });
    await second.storage.ledger.record(recordOf("t", [message({ id: "1" })]));
    await second.storage.openings.note(START);
    await second.storage.ledger.record(recordOf("t2", [message({ id: "2" })]));
    const after = files().sqlite;
    copyFiles(sqlite, after);
    const { opened, storage } = open(after);
    expect(opened.restored).toBeNull();
    expect(opened.earlier).toEqual([
      { name: first.opened.name, end: { name: second.opened.name, seq: 0, change: 0 } },
      { name: second.opened.name, end: { seq: 2, change: 0 } },
    ]);
    second.storage.close();
    storage.close();
  });

  test.each([
    [
      "the copy is older",
      async (storage: SqliteStorage) => storage.ledger.record(recordOf("t", [message({ id: "1" })])),
    ],
    ["nothing happened since but time", async () => undefined],
  ])("knows a restored copy, where %s, and says so in the audit", async (_what, lost) => {
    const { sqlite, copy } = files();
    const first = open(sqlite);
    await first.storage.ledger.record(recordOf("t0", [message({ id: "0" })]));
    await first.storage.openings.beat(START + 1_000);
    copyFiles(sqlite, copy, ["", "-wal"]);
    await lost(first.storage);
    await first.storage.openings.beat(START + 31_000);
    first.storage.close();
    copyFiles(copy, sqlite, ["", "-wal"]);
    const { opened, storage } = open(sqlite, START + 60_000);
    expect(opened.restored).toEqual({ from: START + 1_000, lostUntil: START + 31_000 });
    expect((await storage.audit.newest(null, 1))[0]).toMatchObject({
      action: "database.restore",
      detail: { written_until: START + 1_000, lost_until: START + 31_000 },
    });
    storage.close();
    expect(open(sqlite, START + 61_000).opened.restored).toBeNull();
  });

  test("takes a database that comes without the file beside it for a copy; a new one, and one of an earlier program, not", () => {
    const { sqlite, copy } = files();
    open(sqlite).storage.close();
    copyFiles(sqlite, copy, [""]);
    expect(open(copy, START + 5).opened.restored).toEqual({ from: START, lostUntil: null });
    const migrated = files().sqlite;
    new SqliteStorage(migrated).close();
    expect(open(migrated).opened.restored).toBeNull();
  });

  test("is known for as long as a thousand others; its positions are then lost, and not passed over", () => {
    const storage = new SqliteStorage(":memory:");
    onTestFinished(() => storage.close());
    const { name } = storage.openings.begin(START, random);
    let opened = storage.openings.begin(START, random);
    for (let n = 0; n < 1_000; n += 1) opened = storage.openings.begin(START, random);
    expect(opened.earlier).toHaveLength(1_000);
    expect(new Openings(opened).has({ opening: name, seq: 0, change: 0 }, { seq: 0, change: 0 })).toBe(false);
  });
});

type Deed =
  | { readonly kind: "append"; readonly events: number }
  | { readonly kind: "deliver" | "sync-on" | "replay" | "copy" | "crash" }
  | { readonly kind: "sync-old" | "restore"; readonly which: number };

const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("append" as const), events: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom("deliver", "sync-on", "replay", "copy", "crash") }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("sync-old", "restore"), which: fc.nat(20) }) },
);

interface Token {
  readonly text: string;
  /** What its reader has been told. */
  readonly seen: readonly string[];
}

/** One instance over its life, a tenant that is pushed to and one that polls. */
class World {
  readonly contents = new Map<string, string>();
  readonly tokens: Token[] = [];
  missed = 0;
  wentOn = 0;
  readonly #at = folder();
  #path = path.join(this.#at, "0.db");
  #files = 0;
  #said = 0;
  /** What the journal holds, and of each copy what it held. */
  #line: string[] = [];
  readonly #copies: { readonly path: string; readonly line: readonly string[] }[] = [];
  #storage = new SqliteStorage(this.#path);
  #openings = new Openings(this.#storage.openings.begin(START, random));

  async begin(): Promise<void> {
    await this.#storage.tenants.add({ tenant: BOT, tokenHash: "", hsSalt: "" }, START);
    this.#copy();
  }

  async do(what: Deed): Promise<void> {
    const { deliveries } = this.#storage;
    if (what.kind === "append") {
      const events = Array.from({ length: what.events }, () => message({ id: String((this.#said += 1)) }));
      await this.#storage.ledger.record(recordOf(`t${this.#said}`, events));
      this.#line.push(...events.map(({ event_id }) => event_id));
    }
    if (what.kind === "deliver") await this.#deliver();
    if (what.kind === "replay" && this.#line.length > 0) await deliveries.replay(ID, { seq: 1 }, START);
    if (what.kind === "copy") this.#copy();
    if (what.kind === "crash") this.#open(this.#path);
    if (what.kind === "restore") {
      const { path: from, line } = this.#copies[what.which % this.#copies.length]!;
      this.#line = [...line];
      this.#open(from);
    }
    if (what.kind === "sync-on") await this.#sync(this.tokens.at(-1) ?? null);
    if (what.kind === "sync-old") await this.#sync(this.tokens[what.which % (this.tokens.length || 1)] ?? null);
  }

  close(): void {
    this.#storage.close();
  }

  #copy(): void {
    const to = path.join(this.#at, `copy-${this.#copies.length}.db`);
    copyFiles(this.#path, to);
    this.#copies.push({ path: to, line: [...this.#line] });
  }

  /** Goes on with what these files hold; whoever had them open writes no more. */
  #open(from: string): void {
    this.#files += 1;
    const next = path.join(this.#at, `${this.#files}.db`);
    copyFiles(from, next);
    this.#storage.close();
    this.#path = next;
    this.#storage = new SqliteStorage(next);
    this.#openings = new Openings(this.#storage.openings.begin(START, random));
  }

  /** As a courier does; now and then the program ends before the end is written. */
  async #deliver(): Promise<void> {
    const { deliveries } = this.#storage;
    const place = await deliveries.place(ID);
    if (place === null) throw new Error("there is no such tenant");
    const opening = place.pendingTo === null ? this.#openings.name : place.opening;
    const { events, upTo } = await this.#feed.read(BOT, place.cursor, { events: 2, bytes: 1e6 }, place.pendingTo);
    const transaction = transactionOf({ ...place, opening }, events);
    if (transaction === null) return;
    if (place.pendingTo === null) await deliveries.write([{ ...place, tenant: ID, pendingTo: upTo, opening }]);
    const former = this.contents.get(transaction.txnId);
    if (former !== undefined) expect(transaction.body).toBe(former);
    this.contents.set(transaction.txnId, transaction.body);
    if (this.contents.size % 3 === 0) return;
    await deliveries.write([{ ...place, tenant: ID, cursor: upTo, pendingTo: null, opening }]);
  }

  get #feed(): Feed {
    const { journal } = this.#storage;
    return {
      read: async (_tenant, after, { events: most }, until = null) => {
        const entries = (await journal.read(after, most)).filter(({ seq }) => seq <= (until ?? Infinity));
        return { events: entries, upTo: entries.at(-1)?.seq ?? after, isMore: false };
      },
    };
  }

  async #sync(token: Token | null): Promise<void> {
    const { journal, leaseChanges } = this.#storage;
    const misses: string[] = [];
    const sync = new TenantSync({
      own: OWN,
      tenants: { viewerOf: viewer, isPersona: () => false, all: () => [BOT] },
      personas: this.#storage.personas,
      facts: this.#storage.syncFacts,
      lazyMembers: { of: async () => [] },
      sent: { txnIdsOf: async () => new Map() },
      feed: this.#feed,
      journal,
      changes: { newest: () => leaseChanges.newest(), since: async () => [LEASE] },
      openings: this.#openings,
      missed: (_tenant, why) => misses.push(why),
      states: { stream: async function* () {} },
      news: [],
      clock: new ManualClock(),
      stopping: NEVER,
    });
    const hold = { add: async () => {}, free: () => {} };
    const ask = { since: token?.text ?? null, wait: 0, isFull: false, filter: NO_FILTER };
    const answer = await readPieces(await sync.sync(BOT, ask, NEVER, hold));
    const text = answer["next_batch"] as string;
    if (token === null || misses.length > 0) {
      this.missed += misses.length;
      this.tokens.push({ text, seen: [...this.#line] });
      return;
    }
    this.wentOn += 1;
    const join = (answer["rooms"] as JsonObject)["join"] as unknown as Record<
      string,
      { timeline: { events: RoomEvent[] } }
    >;
    const told = join[ROOM]?.timeline.events.map(({ event_id }) => event_id) ?? [];
    const seen = [...token.seen, ...told];
    // What it was told at any time is what the journal holds: nothing was passed over, and nothing is missing in between.
    expect(seen).toEqual(this.#line.slice(0, seen.length));
    this.tokens.push({ text, seen });
  }
}

test("whatever is copied, restored and killed, no transaction ID has two contents, and no token passes over an event", async () => {
  let missed = 0;
  let wentOn = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(deed, { minLength: 5, maxLength: 30 }), async (deeds) => {
      const world = new World();
      await world.begin();
      for (const one of deeds) await world.do(one);
      missed += world.missed;
      wentOn += world.wentOn;
      world.close();
    }),
    { numRuns: 60 },
  );
  // Both happened, so both were looked at.
  expect(missed).toBeGreaterThan(5);
  expect(wentOn).toBeGreaterThan(20);
}, 60_000);
