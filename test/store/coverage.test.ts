import { describe, expect, test } from "vitest";
import type { RoomId, TenantId } from "../../src/model/ids.ts";
import type { Holder } from "../../src/model/lease.ts";
import { ALICE, member, message, NEW_ROOM, OTHER_ROOM, OWN, recordOf, ROOM } from "../support/events.ts";
import { bringAll, replace } from "../support/upgrading.ts";
import { DATABASES, type Stores } from "../support/storage.ts";

const TELEGRAM = "telegram" as TenantId;
const HOLDER: Holder = { kind: "tenant", name: TELEGRAM };

function open(make: () => { open(): Stores }) {
  const stores = make().open();
  let txn = 0;
  let said = 0;
  const record = (...events: Parameters<typeof recordOf>[1]) =>
    stores.ledger.record(recordOf(`t${(txn += 1)}`, events));
  return {
    stores,
    record,
    /** Somebody says something, which is the journal's next entry. */
    say: (room: RoomId = ROOM) => record(message({ id: `said${(said += 1)}`, room })),
    take: (room: RoomId = ROOM, holder = HOLDER) => stores.leases.book({ roomId: room, holder, via: [], ttl: null }, 1),
    release: (room: RoomId = ROOM) => stores.leases.end(room, HOLDER, "released", 2),
    spans: async (rooms: readonly RoomId[] = [ROOM], after = 0) =>
      Object.fromEntries(await stores.coverage.spansOf(TELEGRAM, rooms, after)),
  };
}

describe.each(DATABASES)("what leases cover on $name", ({ make }) => {
  test("a tenant without leases, and a room that nobody heard of, have nothing", async () => {
    const { spans, say } = open(make);
    await say();
    expect(await spans([ROOM, OTHER_ROOM])).toEqual({});
    expect(await spans([])).toEqual({});
  });

  test("a lease covers what comes after it was taken, for as long as it lives", async () => {
    const { spans, say, take } = open(make);
    await say();
    await say();
    await take();
    await say();
    expect(await spans()).toEqual({ [ROOM]: [{ after: 2, upTo: null }] });
    // Renewing it, at a later number, takes nothing away.
    await take();
    expect(await spans()).toEqual({ [ROOM]: [{ after: 2, upTo: null }] });
  });

  test("one that ended covers what came until then; one taken again begins anew", async () => {
    const { spans, say, take, release } = open(make);
    await take();
    await say();
    await release();
    await say();
    await take();
    await say();
    await release();
    await take();
    expect(await spans()).toEqual({
      [ROOM]: [
        { after: 0, upTo: 1 },
        { after: 2, upTo: 3 },
        { after: 3, upTo: null },
      ],
    });
  });

  test("spans that lie before what is asked for are left out", async () => {
    const { spans, say, take, release } = open(make);
    await take();
    await say();
    await release();
    await take();
    await say();
    expect(await spans([ROOM], 0)).toEqual({
      [ROOM]: [
        { after: 0, upTo: 1 },
        { after: 1, upTo: null },
      ],
    });
    expect(await spans([ROOM], 1)).toEqual({ [ROOM]: [{ after: 1, upTo: null }] });
  });

  test("only the tenant's own leases count, and only those of the rooms asked for", async () => {
    const { spans, say, take } = open(make);
    await take(ROOM, { kind: "tenant", name: "irc" });
    await take(ROOM, { kind: "peek", name: TELEGRAM });
    await take(OTHER_ROOM);
    await say();
    await take(NEW_ROOM);
    expect(await spans([ROOM])).toEqual({});
    expect(await spans([ROOM, OTHER_ROOM, NEW_ROOM])).toEqual({
      [OTHER_ROOM]: [{ after: 0, upTo: null }],
      [NEW_ROOM]: [{ after: 1, upTo: null }],
    });
  });

  test.each([
    ["a kick", "leave"],
    ["a ban", "ban"],
  ] as const)("%s ends the span with the event that says so", async (_what, membership) => {
    const { spans, say, take, record } = open(make);
    await take();
    await record(member(OWN, "join", { id: "own" }));
    await record(member(OWN, membership, { id: "out", sender: ALICE, replaces: "own" }));
    await say();
    expect(await spans()).toEqual({ [ROOM]: [{ after: 0, upTo: 2 }] });
  });

  test("an upgrade ends the span when the lease follows, and what comes then is covered in the new room", async () => {
    const { stores, spans, say, take } = open(make);
    await take();
    await say();
    await replace(stores, ROOM, NEW_ROOM);
    await say(NEW_ROOM);
    await bringAll(stores, ROOM, NEW_ROOM);
    await say(NEW_ROOM);
    await say();
    expect(await spans([ROOM, NEW_ROOM])).toEqual({
      [ROOM]: [{ after: 0, upTo: 4 }],
      [NEW_ROOM]: [{ after: 4, upTo: null }],
    });
  });

  test("what was covered is known after a crash", async () => {
    const database = make();
    const { take, say, release } = open(() => database);
    await take();
    await say();
    await release();
    const { coverage } = database.openAfterCrash();
    expect(await coverage.spansOf(TELEGRAM, [ROOM], 0)).toEqual(new Map([[ROOM, [{ after: 0, upTo: 1 }]]]));
  });
});
