import { describe, expect, test } from "vitest";
import type { RoomId, TenantId, UserId } from "../../src/model/ids.ts";
import type { Grant } from "../../src/model/tenant.ts";
import type { StoredTenant } from "../../src/policy/tenants.ts";
import { OTHER_ROOM, ROOM } from "../support/events.ts";
import { DATABASES, type Stores } from "../support/storage.ts";

function stored(id: string, more: Partial<StoredTenant["tenant"]> = {}): StoredTenant {
  return {
    tenant: {
      id: id as TenantId,
      sender: `@_emissary_${id}:ours.example` as UserId,
      url: "http://127.0.0.1:29317",
      users: "@telegram_.*:ours\\.example",
      grants: [{ rooms: ["*"], actions: ["read", "send"], types: null, source: "operator" }],
      ephemeral: false,
      maxTransaction: null,
      ca: null,
      pausedAt: null,
      createdAt: 5,
      ...more,
    },
    tokenHash: `hash of ${id}`,
    hsSalt: `salt of ${id}`,
  };
}

const TELEGRAM = "telegram" as TenantId;
const BY_OPERATOR = { only: false, actor: "operator" };

async function grantsOf({ tenants }: Stores, id: string): Promise<readonly Grant[] | undefined> {
  return (await tenants.all()).find(({ tenant }) => tenant.id === id)?.tenant.grants;
}

const NOBODY: ReadonlySet<RoomId> = new Set();

describe.each(DATABASES)("tenants on $name", ({ make }) => {
  test("are listed in the order of their IDs, whole, also after a crash", async () => {
    const database = make();
    const { tenants } = database.open();
    expect(await tenants.all()).toEqual([]);
    const bare = stored("bare", { url: null, users: null, grants: [] });
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

  test("the audit names whose doing a grant is: a user's who invites is not the operator's", async () => {
    const { tenants, audit } = make().open();
    await tenants.add(stored("telegram"), 5);
    const grant: Grant = { rooms: [ROOM], actions: ["read"], types: null, source: "invite" };
    await tenants.allow(TELEGRAM, grant, { only: false, actor: "user:@bob:b.example" }, 6);
    expect(await audit.newest(null, 1)).toMatchObject([{ actor: "user:@bob:b.example", action: "tenant.allow" }]);
  });

  test("a grant is added after those before it, or replaces them, also after a crash", async () => {
    const database = make();
    const { tenants, audit } = database.open();
    await tenants.add(stored("telegram"), 5);
    await tenants.add(stored("irc"), 5);
    const [first] = stored("telegram").tenant.grants;
    const second: Grant = { rooms: ["#ops:a.example"], actions: ["state"], types: ["com.*"], source: "invite" };
    expect(await tenants.allow(TELEGRAM, second, BY_OPERATOR, 6)).toBe(true);
    expect(await grantsOf(database.openAfterCrash(), "telegram")).toEqual([first, second]);
    const again = database.open();
    expect(await again.tenants.allow(TELEGRAM, second, { ...BY_OPERATOR, only: true }, 7)).toBe(true);
    expect(await grantsOf(again, "telegram")).toEqual([second]);
    expect(await grantsOf(again, "irc")).toEqual([first]);
    expect(await again.tenants.allow("nobody" as TenantId, second, { ...BY_OPERATOR, only: true }, 8)).toBe(false);
    expect(await audit.newest(null, 1)).toMatchObject([
      { action: "tenant.allow", detail: { tenant: "telegram", ...second, only: "false" } },
    ]);
  });

  test("a tenant that is removed takes its grants with it, so that one of its name begins anew", async () => {
    const stores = make().open();
    await stores.tenants.add(stored("telegram"), 5);
    await stores.tenants.remove(TELEGRAM, 6);
    await stores.tenants.add(stored("telegram", { grants: [] }), 7);
    expect(await grantsOf(stores, "telegram")).toEqual([]);
  });

  test("settings are changed together, and tokens, grants and the place of deliveries stay", async () => {
    const { tenants, deliveries, audit } = make().open();
    await tenants.add(stored("telegram"), 5);
    const place = await deliveries.place(TELEGRAM);
    const settings = { url: "https://new:1", users: null, ephemeral: true, maxTransaction: 100_000, ca: "PEM" };
    expect(await tenants.set(TELEGRAM, settings, 6)).toBe(true);
    expect(await tenants.all()).toEqual([stored("telegram", settings)]);
    expect(await deliveries.place(TELEGRAM)).toEqual(place);
    expect(await audit.newest(null, 1)).toMatchObject([
      { action: "tenant.set", detail: { url: "https://new:1", ca: "its own" } },
    ]);
    await tenants.set(TELEGRAM, { ...settings, url: null }, 7);
    expect(await deliveries.place(TELEGRAM)).toBeNull();
    expect(await tenants.set("nobody" as TenantId, settings, 8)).toBe(false);
  });

  test("pausing notes since when, resuming forgets it, and both are in the audit", async () => {
    const { tenants, audit } = make().open();
    await tenants.add(stored("telegram"), 5);
    expect(await tenants.pause(TELEGRAM, true, 6)).toBe(true);
    expect((await tenants.all()).map(({ tenant }) => tenant.pausedAt)).toEqual([6]);
    expect(await tenants.pause(TELEGRAM, false, 7)).toBe(true);
    expect(await tenants.all()).toEqual([stored("telegram")]);
    expect(await tenants.pause("nobody" as TenantId, true, 8)).toBe(false);
    expect((await audit.newest(null, 2)).map(({ action }) => action)).toEqual(["tenant.resume", "tenant.pause"]);
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
