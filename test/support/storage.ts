import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { SqliteStorage } from "../../src/app/stores.ts";
import { rows } from "./database.ts";

/** What a database holds, as one program sees it between opening and closing. */
export type Stores = SqliteStorage;

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
  return new Proxy(stores, {
    get(target, key) {
      if (key === "close") return () => target.close();
      return slow(Reflect.get(target, key) as object);
    },
  });
}
