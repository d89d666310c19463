import { describe, expect, test } from "vitest";
import { openDatabase } from "../../src/storage/open.ts";
import { Memo, WriteCount } from "../../src/storage/memo.ts";

describe("what storage was asked", () => {
  function opened() {
    const db = openDatabase(":memory:");
    const writes = new WriteCount(db);
    const memo = new Memo<number>(writes, 2);
    let reads = 0;
    const ask = (key: string): number => memo.get(key, () => (reads += 1));
    const write = (): unknown => db.prepare("INSERT INTO rooms (room_id) VALUES (hex(randomblob(8)))").run();
    return { db, writes, ask, write };
  }

  test("is read once as long as nothing is written", () => {
    const { ask } = opened();
    expect([ask("a"), ask("b"), ask("a")]).toEqual([1, 2, 1]);
  });

  test("is read again after any row is written", () => {
    const { ask, write } = opened();
    ask("a");
    write();
    expect(ask("a")).toBe(2);
  });

  test("is read again after a transaction that was rolled back", () => {
    const { db, ask, write } = opened();
    ask("a");
    expect(() =>
      db.transaction(() => {
        write();
        throw new Error("no");
      })(),
    ).toThrow("no");
    expect(ask("a")).toBe(2);
  });

  test("is not read again for rows that do not matter to it", () => {
    const { writes, ask, write } = opened();
    ask("a");
    write();
    writes.disregard(1);
    expect(ask("a")).toBe(1);
  });

  test("is forgotten as a whole when it has become too much", () => {
    const { ask } = opened();
    expect([ask("a"), ask("b"), ask("c"), ask("a")]).toEqual([1, 2, 3, 4]);
  });
});
