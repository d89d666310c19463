/** What `/sync` tells of rooms beside their events, from the ledger. */
import { expect, onTestFinished, test } from "vitest";
import type { EventId, RoomId, UserId } from "../../src/model/ids.ts";
import { SqliteStorage } from "../../src/app/stores.ts";
import { START } from "../support/clock.ts";
import { ALICE, BOB, CAROL, member, OTHER_ROOM, OWN, recordOf, ROOM, state } from "../support/events.ts";
import { tenant } from "../support/tenants.ts";

const BOT = tenant("bot");
const GHOST = "@ghost:ours.example" as UserId;
const VIEWER = { tenant: BOT.id, user: BOT.sender, own: OWN };

async function stores(): Promise<SqliteStorage> {
  const storage = new SqliteStorage(":memory:");
  onTestFinished(() => storage.close());
  await storage.tenants.add({ tenant: BOT, tokenHash: "", hsSalt: "" }, START);
  return storage;
}

/** A room that the pseudouser is in and the ledger knows whole, with a lease of the tenant's. */
async function room(storage: SqliteStorage, roomId: RoomId): Promise<void> {
  await storage.ledger.record(recordOf("own", [member(OWN, "join", { id: "own", room: roomId })]));
  const ticket = await storage.loads.begin(roomId);
  await storage.loads.finish(ticket, START);
  const holder = { kind: "tenant", name: BOT.id } as const;
  await storage.leases.book({ roomId, holder, via: [], ttl: null }, START);
}

test("who is in a room is counted as a tenant sees it: with its own users, and without the pseudouser", async () => {
  const storage = await stores();
  await room(storage, ROOM);
  await storage.personas.enter(BOT.id, ROOM, BOT.sender);
  await storage.personas.enter(BOT.id, ROOM, GHOST);
  const events = [
    member(ALICE, "join", { id: "a" }),
    member(BOB, "invite", { id: "b", sender: ALICE }),
    member(CAROL, "leave", { id: "c" }),
    // Invited as itself, and in by the tenant's word.
    member(GHOST, "invite", { id: "g", sender: ALICE }),
  ];
  await storage.ledger.record(recordOf("t", events));
  expect(await storage.syncFacts.headsIn(ROOM, VIEWER)).toEqual({
    joined: 3,
    invited: 1,
    heroes: [GHOST, ALICE, BOB],
    isNamed: false,
  });
  await storage.ledger.record(recordOf("n", [state("m.room.name", { name: "Lounge" }, { id: "n" })]));
  expect(await storage.syncFacts.headsIn(ROOM, VIEWER)).toMatchObject({ isNamed: true });
  await storage.ledger.record(recordOf("e", [state("m.room.name", { name: "" }, { id: "e", replaces: "n" })]));
  expect(await storage.syncFacts.headsIn(ROOM, VIEWER)).toMatchObject({ isNamed: false });
});

test("a room that others have left is called by them; of one that is not known whole nothing is said", async () => {
  const storage = await stores();
  await room(storage, ROOM);
  await storage.ledger.record(recordOf("t", [member(ALICE, "leave", { id: "a" })]));
  expect(await storage.syncFacts.headsIn(ROOM, VIEWER)).toMatchObject({ joined: 0, heroes: [ALICE] });
  expect(await storage.syncFacts.headsIn(OTHER_ROOM, VIEWER)).toBeNull();
  await storage.ledger.record(recordOf("o", [member(OWN, "join", { id: "o", room: OTHER_ROOM })]));
  expect(await storage.syncFacts.headsIn(OTHER_ROOM, VIEWER)).toBeNull();
});

test("open invites are those of this server's users that nobody has answered, with the reason of the pseudouser's", async () => {
  const storage = await stores();
  const invite = member(OWN, "invite", { id: "own", sender: ALICE });
  const events = [
    { ...invite, content: { membership: "invite", reason: "bot" } },
    member(GHOST, "invite", { id: "g", sender: ALICE, room: OTHER_ROOM }),
    member(BOB, "invite", { id: "b", sender: ALICE }),
    member(CAROL, "invite", { id: "c", sender: ALICE }),
    member(CAROL, "leave", { id: "d" }),
  ];
  await storage.ledger.record(recordOf("t", events));
  const known = { sender: ALICE };
  expect(await storage.syncFacts.openInvites(OWN, 10)).toEqual([
    { ...known, roomId: OTHER_ROOM, user: GHOST, eventId: "$g" as EventId, reason: null },
    { ...known, roomId: ROOM, user: OWN, eventId: "$own" as EventId, reason: "bot" },
  ]);
  expect(await storage.syncFacts.openInvites(OWN, 1)).toHaveLength(1);
});
