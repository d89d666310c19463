import { describe, expect, test } from "vitest";
import type { RoomId, TenantId, UserId } from "../../src/model/ids.ts";
import type { StoredTenant } from "../../src/policy/tenants.ts";
import { OTHER_ROOM, ROOM } from "../support/events.ts";
import { DATABASES } from "../support/storage.ts";

function stored(id: string, more: Partial<StoredTenant["tenant"]> = {}): StoredTenant {
  return {
    tenant: {
      id: id as TenantId,
      sender: `@_emissary_${id}:ours.example` as UserId,
      url: "http://127.0.0.1:29317",
      users: "@telegram_.*:ours\\.example",
      actions: ["read", "send"],
      createdAt: 5,
      ...more,
    },
    tokenHash: `hash of ${id}`,
    hsSalt: `salt of ${id}`,
  };
}

const TELEGRAM = "telegram" as TenantId;
const NOBODY: ReadonlySet<RoomId> = new Set();

describe.each(DATABASES)("tenants on $name", ({ make }) => {
  test("are listed in the order of their IDs, whole, also after a crash", async () => {
    const database = make();
    const { tenants } = database.open();
    expect(await tenants.all()).toEqual([]);
    const bare = stored("bare", { url: null, users: null, actions: [] });
    expect(await tenants.add(stored("telegram"), 5)).toBe(true);
    expect(await tenants.add(bare, 5)).toBe(true);
    expect(await database.openAfterCrash().tenants.all()).toEqual([bare, stored("telegram")]);
  });

  test("an ID is taken once; the second wish changes nothing", async () => {
    const { tenants, audit } = make().open();
    await tenants.add(stored("telegram"), 5);
    expect(
      await tenants.add({ ...stored("telegram", { url: null }), tokenHash: "another", hsSalt: "another" }, 6),
    ).toBe(false);
    expect(await tenants.all()).toEqual([stored("telegram")]);
    expect(await audit.newest(null, 10)).toHaveLength(1);
  });

  test("rotating replaces hash and salt, and nothing else", async () => {
    const { tenants } = make().open();
    await tenants.add(stored("telegram"), 5);
    expect(await tenants.rotate(TELEGRAM, "new hash", "new salt", 6)).toBe(true);
    expect(await tenants.all()).toEqual([{ ...stored("telegram"), tokenHash: "new hash", hsSalt: "new salt" }]);
    expect(await tenants.rotate("irc" as TenantId, "h", "s", 6)).toBe(false);
  });

  test("removing one ends its leases, wakes their rooms, and leaves the others'", async () => {
    const { tenants, leases, attendance } = make().open();
    await tenants.add(stored("telegram"), 5);
    const telegram = { kind: "tenant", name: "telegram" } as const;
    const namesake = { kind: "peek", name: "telegram" } as const;
    const irc = { kind: "tenant", name: "irc" } as const;
    for (const roomId of [ROOM, OTHER_ROOM]) await leases.book({ roomId, holder: telegram, via: [], ttl: null }, 6);
    for (const holder of [namesake, irc]) await leases.book({ roomId: ROOM, holder, via: [], ttl: null }, 6);

    expect(await tenants.remove(TELEGRAM, 7)).toEqual({ leasesEnded: 2 });
    expect(await tenants.remove(TELEGRAM, 8)).toBeNull();
    expect(await tenants.all()).toEqual([]);
    expect((await leases.ofRoom(ROOM)).map(({ holder }) => holder)).toEqual([namesake, irc]);
    expect(await leases.ofRoom(OTHER_ROOM)).toEqual([]);
    expect(await leases.lastEnd(ROOM, telegram)).toBe("tenant-removed");
    expect([...(await attendance.due(7, 10, NOBODY))].sort()).toEqual([OTHER_ROOM, ROOM].sort());
  });

  test("each deed of the operator is in the audit, without tokens", async () => {
    const { tenants, audit } = make().open();
    await tenants.add(stored("telegram"), 5);
    await tenants.rotate(TELEGRAM, "new hash", "new salt", 6);
    await tenants.remove(TELEGRAM, 7);
    const rows = (await audit.newest(null, 10)).toReversed();
    expect(rows.map(({ at, actor, action, outcome }) => [at, actor, action, outcome])).toEqual([
      [5, "operator", "tenant.add", "done"],
      [6, "operator", "tenant.rotate", "done"],
      [7, "operator", "tenant.remove", "done"],
    ]);
    expect(JSON.stringify(rows)).not.toMatch(/hash|salt/);
  });
});
