import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import DatabaseConstructor from "better-sqlite3";
import fc from "fast-check";
import { expect, onTestFinished, test, vi } from "vitest";
import { foldEvent, type LedgerChange } from "../../src/ledger/fold.ts";

import { serverOf, type RoomId, type ServerName, type UserId } from "../../src/model/ids.ts";
import type { Membership } from "../../src/model/membership.ts";
import { migrate, readMigrations } from "../../src/storage/migrate.ts";
import { SqliteStorage } from "../../src/app/stores.ts";
import { START } from "../support/clock.ts";
import { member, OTHER_ROOM, OWN, recordOf, REMOTE, ROOM } from "../support/events.ts";

function file(): string {
  const folder = mkdtempSync(join(tmpdir(), "emissary-servers-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "emissary.db");
}

function open(path: string): SqliteStorage {
  const storage = new SqliteStorage(path);
  onTestFinished(() => storage.close());
  return storage;
}

function changesOf(room: RoomId, memberships: Iterable<readonly [UserId, Membership, string]>): LedgerChange[] {
  return [...memberships].flatMap(([user, membership, id]) => foldEvent(member(user, membership, { id, room }), OWN));
}

/** How SQLite goes about each statement that asks for servers of rooms. */
function plansOf(path: string): readonly string[] {
  const prepare = vi.spyOn(DatabaseConstructor.prototype, "prepare");
  open(path);
  const asked = prepare.mock.calls.map(([sql]) => sql).filter((sql) => /^\s*SELECT .*room_servers/.test(sql));
  prepare.mockRestore();
  const db = new DatabaseConstructor(path, { readonly: true });
  onTestFinished(() => void db.close());
  return asked.flatMap((sql) =>
    db
      .prepare<[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql.replaceAll("?", "1")}`)
      .all()
      .map(({ detail }) => detail),
  );
}

test("whether a server has a member in a room of 100,000 is one look at an index", async () => {
  const path = file();
  const storage = open(path);
  const ticket = await storage.loads.begin(ROOM);
  for (let from = 0; from < 100_000; from += 1_000) {
    const users = Array.from({ length: 1_000 }, (_, n) => `@u${from + n}:remote.example` as UserId);
    await storage.loads.part(
      ticket,
      changesOf(
        ROOM,
        users.map((user) => [user, "join", user.slice(1)]),
      ),
      START,
    );
  }
  await storage.loads.finish(ticket, START);
  expect(await storage.ledger.hasMemberOf(ROOM, REMOTE)).toBe(true);
  expect(await storage.ledger.hasMemberOf(ROOM, "ours.example" as ServerName)).toBe(false);
  expect(plansOf(path)).toEqual(["SEARCH room_servers USING PRIMARY KEY (room_nr=? AND server=?)"]);
}, 60_000);

const SERVERS = ["ours.example", "remote.example", "third.example:8448"] as ServerName[];
const USERS = ["@", "@a", "@b:x", "@c"].flatMap((local) => SERVERS.map((server) => `${local}:${server}` as UserId));
const ROOMS = [ROOM, OTHER_ROOM];

const DEED = fc.oneof(
  fc.record({
    kind: fc.constant("event" as const),
    room: fc.constantFrom(...ROOMS),
    user: fc.constantFrom(...USERS),
    membership: fc.constantFrom<Membership[]>("join", "invite", "leave", "ban", "knock"),
  }),
  fc.record({
    kind: fc.constant("load" as const),
    room: fc.constantFrom(...ROOMS),
    members: fc.uniqueArray(fc.constantFrom(...USERS), { maxLength: 6 }),
  }),
  fc.record({ kind: fc.constant("forget" as const), room: fc.constantFrom(...ROOMS) }),
);

test("whatever writes members keeps what is known of their servers", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(DEED, { maxLength: 25 }), async (deeds) => {
      const storage = new SqliteStorage(":memory:");
      try {
        let number = 0;
        for (const deed of deeds) {
          number += 1;
          const id = `e${number}`;
          if (deed.kind === "event") {
            await storage.ledger.record(recordOf(id, [member(deed.user, deed.membership, { id, room: deed.room })]));
          } else if (deed.kind === "load") {
            const ticket = await storage.loads.begin(deed.room);
            const fetched = deed.members.map((user) => [user, "join", `${id}-${user.slice(1)}`] as const);
            await storage.loads.part(ticket, changesOf(deed.room, fetched), START);
            await storage.loads.finish(ticket, START);
          } else {
            await storage.loads.drop(deed.room, 2);
            await storage.loads.drop(deed.room, 100);
          }
          for (const room of ROOMS) {
            const all = await storage.ledger.members(room, { membership: null, after: null, limit: 100 });
            const there = all.filter(
              ({ userId, membership }) =>
                !userId.startsWith("@:") && (membership === "join" || membership === "invite"),
            );
            for (const server of SERVERS) {
              const expected = there.some(({ userId }) => serverOf(userId) === server);
              expect([room, server, await storage.ledger.hasMemberOf(room, server)]).toEqual([room, server, expected]);
            }
          }
        }
      } finally {
        storage.close();
      }
    }),
    { numRuns: 150 },
  );
}, 60_000);

test("a database of before knows the servers of the members that it has", async () => {
  const path = file();
  const before = new DatabaseConstructor(path);
  migrate(before, path, readMigrations().slice(0, 1));
  before.exec("INSERT INTO rooms (nr, room_id) VALUES (1, '!room:remote.example')");
  const put = before.prepare(
    "INSERT INTO members (room_nr, user_id, membership, event_id, sender, seq, generation) VALUES (1, ?, ?, '$e', '@s:x', 1, 1)",
  );
  put.run("@a:remote.example", "join");
  put.run("@b:remote.example", "leave");
  put.run("@:ours.example", "join");
  put.run("@c:third.example:8448", "invite");
  before.close();
  const { ledger } = open(path);
  const known = await Promise.all(SERVERS.map((server) => ledger.hasMemberOf(ROOM, server)));
  expect(known).toEqual([false, true, true]);
});
