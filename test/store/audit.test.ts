import { describe, expect, test } from "vitest";
import type { AuditEntry } from "../../src/model/audit.ts";
import { ROOM } from "../support/events.ts";
import { DATABASES } from "../support/storage.ts";

function entry(n: number): AuditEntry {
  return {
    actor: "tenant:telegram",
    action: "event.send",
    outcome: "done",
    roomId: n % 2 === 0 ? ROOM : null,
    detail: { n },
  };
}

describe.each(DATABASES)("the audit on $name", ({ make }) => {
  test("is empty at first", async () => {
    expect(await make().open().audit.newest(null, 10)).toEqual([]);
  });

  test("keeps rows whole, in order, also after a crash", async () => {
    const database = make();
    await database.open().audit.noteAll([entry(1), entry(2)], 7);
    expect(await database.openAfterCrash().audit.newest(null, 10)).toEqual([
      { ...entry(2), id: 2, at: 7 },
      { ...entry(1), id: 1, at: 7 },
    ]);
  });

  test("is read from the newest backwards, a page at a time", async () => {
    const { audit } = make().open();
    const entries = Array.from({ length: 23 }, (_, index) => entry(index + 1));
    await audit.noteAll(entries, 7);
    const seen: unknown[] = [];
    for (let before: number | null = null; ;) {
      const page = await audit.newest(before, 5);
      seen.push(...page.map(({ detail }) => detail["n"]));
      const last = page.at(-1);
      if (last === undefined) break;
      before = last.id;
    }
    expect(seen).toEqual(entries.map(({ detail }) => detail["n"]).toReversed());
  });

  test("several rows are one commit: all or none", async () => {
    const { audit } = make().open();
    await expect(audit.noteAll([entry(1), { ...entry(2), actor: null as unknown as string }], 7)).rejects.toThrow();
    expect(await audit.newest(null, 10)).toEqual([]);
    await audit.noteAll([], 7);
    expect(await audit.newest(null, 10)).toEqual([]);
  });
});
