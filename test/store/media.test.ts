import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import type { TenantId } from "../../src/model/ids.ts";
import { migrate, readMigrations } from "../../src/storage/migrate.ts";
import { DATABASES, type Stores } from "../support/storage.ts";
import { tenant } from "../support/tenants.ts";

const IRC = "irc" as TenantId;
const TELEGRAM = "telegram" as TenantId;

async function withTenants(stores: Stores): Promise<Stores> {
  for (const id of [IRC, TELEGRAM]) {
    await stores.tenants.add({ tenant: tenant(id), tokenHash: `hash of ${id}`, hsSalt: "" }, 1);
  }
  return stores;
}

describe.each(DATABASES)("reserved media on $name", ({ make }) => {
  test("is whose it was given to, until it runs out or is uploaded", async () => {
    const { media } = await withTenants(make().open());
    await media.add("first", IRC, 100, 1);
    await media.add("second", TELEGRAM, 50, 1);
    expect([await media.ownerOf("first", 99), await media.ownerOf("second", 49)]).toEqual([IRC, TELEGRAM]);
    expect([await media.ownerOf("first", 100), await media.ownerOf("never", 1)]).toEqual([null, null]);
    expect([await media.countOf(IRC, 99), await media.countOf(IRC, 100)]).toEqual([1, 0]);
    await media.remove("first");
    expect(await media.ownerOf("first", 2)).toBeNull();
  });

  test("is forgotten once it has run out, and with its tenant", async () => {
    const { media, tenants } = await withTenants(make().open());
    await media.add("first", IRC, 100, 1);
    await media.add("second", IRC, 300, 200);
    expect([await media.ownerOf("first", 1), await media.ownerOf("second", 200)]).toEqual([null, IRC]);
    await tenants.remove(IRC, 201);
    expect(await media.ownerOf("second", 201)).toBeNull();
  });

  test("is still whose it was after the database was opened again", async () => {
    const database = make();
    await (await withTenants(database.open())).media.add("first", IRC, 100, 1);
    expect(await database.open().media.ownerOf("first", 2)).toBe(IRC);
  });
});

test("a database from before there were reservations keeps what it has, and takes them", () => {
  const db = new Database(":memory:");
  const all = readMigrations();
  const before = all.findIndex(({ title }) => title.includes("media"));
  migrate(db, ":memory:", all.slice(0, before));
  db.prepare(
    "INSERT INTO tenants (id, sender, ephemeral, token_hash, hs_salt, created_at) VALUES ('irc', '@_emissary_irc:a', 0, 'h', '', 1)",
  ).run();
  migrate(db, ":memory:", all);
  db.prepare("INSERT INTO media_reservations VALUES ('m', 'irc', 1)").run();
  expect(db.prepare("SELECT id FROM tenants").pluck().all()).toEqual(["irc"]);
  db.close();
});
