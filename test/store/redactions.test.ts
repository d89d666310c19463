/** What a redaction takes back is gone from all that is stored, and from all that has yet to be delivered, in whatever order things come. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JournalFeed } from "../../src/tenants/feed/feed.ts";
import { transactionOf } from "../../src/tenants/delivery/piece.ts";
import { foldEvent } from "../../src/ledger/fold.ts";
import { SharedJournal } from "../../src/ledger/shared-journal.ts";
import type { RoomEvent } from "../../src/model/event.ts";
import type { RoomId } from "../../src/model/ids.ts";
import type { JsonObject } from "../../src/model/json.ts";
import { Signal } from "../../src/concurrency/signal.ts";
import { START } from "../support/clock.ts";
import { ALICE, BOB, CAROL, member, message, OTHER_ROOM, OWN, recordOf, ROOM, state } from "../support/events.ts";
import { roundsOf, seedOf } from "../support/soak.ts";
import { DATABASES, type Stores } from "../support/storage.ts";
import { tenant, viewer } from "../support/tenants.ts";

let transactions = 0;

async function live(stores: Stores, ...events: RoomEvent[]): Promise<void> {
  transactions += 1;
  await stores.ledger.record(recordOf(`${transactions}`, events, { receivedAt: START + transactions }));
}

/** As version 11 has it where `isNew`, else as those before. */
function redaction(target: string, { room = ROOM, isNew = true, by = BOB } = {}): RoomEvent {
  const named = `$${target}`;
  const event: RoomEvent = { ...message({ id: `r-${target}-${room}`, room, sender: by }), type: "m.room.redaction" };
  return isNew ? { ...event, content: { redacts: named } } : { ...event, content: {}, redacts: named };
}

function create(version: string, room = ROOM): RoomEvent {
  return state("m.room.create", { room_version: version }, { id: `create-${room}`, room });
}

async function pruneAll(stores: Stores): Promise<void> {
  while ((await stores.redactions.pruneSome()).isMore);
}

async function contents(stores: Stores): Promise<Record<string, JsonObject>> {
  const entries = await stores.journal.read(0, 1_000);
  return Object.fromEntries(entries.map(({ event }) => [event.event_id, event.content]));
}

const acl = { allow: ["*"], deny: ["evil.example"] };

describe.each(DATABASES)("redactions on $name", ({ make }) => {
  test("take names, aliases, access lists and what else is known of a room out of the ledger, by its version's rules", async () => {
    const stores = make().open();
    await live(
      stores,
      create("11"),
      state("m.room.name", { name: "rude" }, { id: "name" }),
      state("m.room.canonical_alias", { alias: "#rude:x" }, { id: "alias" }),
      state("m.room.server_acl", acl, { id: "acl" }),
      state("m.room.join_rules", { join_rule: "public" }, { id: "rule" }),
      state("m.room.history_visibility", { history_visibility: "world_readable" }, { id: "visibility" }),
      state("m.room.encryption", { algorithm: "rude" }, { id: "encryption" }),
      state("m.room.tombstone", { replacement_room: OTHER_ROOM }, { id: "tombstone" }),
      state("m.room.topic", { topic: "rude" }, { id: "topic" }),
    );
    for (const id of ["name", "alias", "acl", "rule", "visibility", "encryption", "tombstone", `create-${ROOM}`]) {
      await live(stores, redaction(id));
    }
    expect(await stores.ledger.room(ROOM)).toMatchObject({
      name: null,
      canonicalAlias: null,
      serverAcl: JSON.stringify({ allow: [], deny: [], allow_ip_literals: true }),
      joinRule: "public",
      historyVisibility: "world_readable",
      encryption: null,
      replacement: null,
      version: "11",
      creator: ALICE,
    });
  });

  test("take members' names, wherever they stand, and leave their membership", async () => {
    const stores = make().open();
    await live(stores, member(OWN, "join", { id: "own" }), member(ALICE, "join", { id: "1", name: "rude" }));
    await live(stores, member(ALICE, "join", { id: "2", room: OTHER_ROOM, name: "nice" }));
    await live(stores, redaction("1"), redaction("2"));
    const named = async (room: RoomId) => (await stores.ledger.member(room, ALICE))?.displayname;
    expect([await named(ROOM), await named(OTHER_ROOM)]).toEqual([null, "nice"]);
    expect(await stores.ledger.member(ROOM, ALICE)).toMatchObject({ membership: "join", eventId: "$1" });
  });

  test("take the reason of the pseudouser's own membership", async () => {
    const stores = make().open();
    const invite = member(OWN, "invite", { id: "i", sender: ALICE });
    await live(stores, { ...invite, content: { ...invite.content, reason: "rude" } });
    expect((await stores.ledger.room(ROOM))?.ownReason).toBe("rude");
    await live(stores, redaction("i"));
    expect((await stores.ledger.room(ROOM))?.ownReason).toBeNull();
  });

  test("hold against a load that was told the state before they came", async () => {
    const stores = make().open();
    const [alice, name] = [
      member(ALICE, "join", { id: "1", name: "rude" }),
      state("m.room.name", { name: "rude" }, { id: "n" }),
    ];
    await live(stores, member(OWN, "join", { id: "own" }), alice);
    const ticket = await stores.loads.begin(ROOM);
    await live(stores, redaction("1"), redaction("n"));
    const told = [alice, name, member(OWN, "join", { id: "own" })].flatMap((event) => foldEvent(event, OWN));
    await stores.loads.part(ticket, told, START);
    await stores.loads.finish(ticket, START);
    expect(await stores.ledger.member(ROOM, ALICE)).toMatchObject({ displayname: null });
    expect(await stores.ledger.room(ROOM)).toMatchObject({ name: null, load: "loaded" });
  });

  test("change what a transaction that was begun has, and not its ID nor which events it has", async () => {
    const stores = make().open();
    const one = tenant("one");
    await live(stores, message({ id: "a" }, "rude"), message({ id: "b" }));
    const tenants = { all: () => [one], isPersona: () => false, isTenants: () => false, viewerOf: () => viewer(one) };
    const coverage = { spansOf: async () => new Map([[ROOM, [{ after: 0, upTo: null }]]]) };
    const owners = { ownersOf: async () => new Map() };
    const journal = new SharedJournal(stores.journal);
    const feed = new JournalFeed({ journal, coverage, owners, tenants, own: OWN, news: new Signal() });
    const made = async () => {
      const { events } = await feed.read(one, 0, { events: 100, bytes: 1_000_000 }, 2);
      return transactionOf({ opening: "o", epoch: 1 }, events);
    };
    const before = await made();
    await live(stores, redaction("a"));
    journal.heard({ firstSeq: 3, receivedAt: START, events: [redaction("a")], bytes: 1 });
    const after = await made();
    expect(before?.body).toContain("rude");
    expect(after?.body).not.toContain("rude");
    expect(after?.txnId).toBe(before?.txnId);
    const ids = (body = "{}") => (JSON.parse(body) as { events: RoomEvent[] }).events.map(({ event_id: id }) => id);
    expect(ids(after?.body)).toEqual(ids(before?.body));
  });

  test("of one room take nothing from another's events, and the older rooms' go by what the event itself says", async () => {
    const stores = make().open();
    await live(stores, create("10"), create("11", OTHER_ROOM));
    await live(
      stores,
      message({ id: "a" }, "kept"),
      message({ id: "b" }, "rude"),
      message({ id: "c", room: OTHER_ROOM }),
    );
    await live(stores, redaction("a", { room: OTHER_ROOM }));
    await live(stores, { ...redaction("b", { isNew: false }), content: { redacts: "$a" } });
    expect(await contents(stores)).toMatchObject({ $a: { body: "kept" }, $b: {} });
    expect((await contents(stores))["$b"]).toEqual({});
  });

  test("hold for an event that comes after them, also where the journal was gone through between", async () => {
    const database = make();
    const stores = database.open();
    await live(stores, redaction("a"), redaction("1"), redaction("n"));
    await pruneAll(stores);
    await live(stores, message({ id: "a" }, "rude"), member(ALICE, "join", { id: "1", name: "rude" }));
    await live(stores, state("m.room.name", { name: "rude" }, { id: "n" }));
    expect(await stores.ledger.member(ROOM, ALICE)).toMatchObject({ membership: "join", displayname: null });
    expect(await stores.ledger.room(ROOM)).toMatchObject({ name: null });
    await pruneAll(stores);
    expect(database.dump()).not.toContain("rude");
  });

  test("go with what they redacted, when the journal is cut", async () => {
    const database = make();
    const stores = database.open();
    await live(stores, message({ id: "a" }, "rude"));
    await live(stores, redaction("a"));
    await live(stores, message({ id: "b" }));
    await live(stores, message({ id: "c" }));
    await stores.history.trim(3);
    expect(await contents(stores)).toEqual({ $c: message({ id: "c" }).content });
    await live(stores, message({ id: "a" }, "again"));
    expect((await contents(stores))["$a"]).toMatchObject({ body: "again" });
  });

  const KINDS: readonly ((id: string, room: RoomId, secret: string) => RoomEvent)[] = [
    (id, room, secret) => message({ id, room }, secret),
    (id, room, secret) => state("m.room.name", { name: secret }, { id, room }),
    (id, room, secret) => state("m.room.canonical_alias", { alias: `#${secret}:x` }, { id, room }),
    (id, room, secret) => state("m.room.server_acl", { allow: ["*"], deny: [secret] }, { id, room }),
    (id, room, secret) => member(ALICE, "join", { id, room, name: secret }),
    (id, room, secret) => {
      const own = member(OWN, "invite", { id, room, sender: CAROL });
      return { ...own, content: { ...own.content, reason: secret, displayname: secret } };
    },
    (id, room, secret) => state("org.example.any", { [secret]: { deep: [secret] } }, { id, room }),
    (id, room, secret) => ({ ...message({ id, room }), type: "m.room.redaction", content: { reason: secret } }),
  ];
  const anyStep = fc.oneof(
    { weight: 6, arbitrary: fc.record({ what: fc.constant("event" as const), nr: fc.nat(7) }) },
    {
      weight: 4,
      arbitrary: fc.record({ what: fc.constant("redaction" as const), nr: fc.nat(7), strays: fc.boolean() }),
    },
    { weight: 2, arbitrary: fc.constant({ what: "prune" as const }) },
    { weight: 1, arbitrary: fc.constant({ what: "crash" as const }) },
  );
  const roomOf = (nr: number): RoomId => (nr % 2 === 0 ? ROOM : OTHER_ROOM);
  const secretOf = (nr: number): string => `secret-${nr}-of-it`;
  const kindOf = (nr: number) => KINDS[nr % KINDS.length]!;

  test("leave nothing that they took in the database, and all else as it was, whatever comes before what", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 30 }), fc.constantFrom("9", "11"), async (steps, version) => {
        const database = make();
        let stores = database.open();
        await live(stores, create(version), create(version, OTHER_ROOM));
        const came = new Set<number>();
        const gone = new Set<number>();
        let previous: { readonly id: string; readonly nr: number } | null = null;
        for (const step of steps) {
          if (step.what === "event" && !came.has(step.nr)) {
            came.add(step.nr);
            const event = kindOf(step.nr)(`e${step.nr}`, roomOf(step.nr), secretOf(step.nr));
            const told = previous !== null && roomOf(previous.nr) === event.room_id;
            const before = told
              ? { replaces_state: `$${previous!.id}`, prev_content: { name: secretOf(previous!.nr) } }
              : {};
            await live(stores, { ...event, unsigned: before });
            previous = { id: `e${step.nr}`, nr: step.nr };
          } else if (step.what === "redaction") {
            const room = step.strays ? roomOf(step.nr + 1) : roomOf(step.nr);
            if (!step.strays) gone.add(step.nr);
            await live(stores, redaction(`e${step.nr}`, { room, isNew: version === "11" }));
          } else if (step.what === "prune") {
            await stores.redactions.pruneSome();
          } else if (step.what === "crash") {
            stores = database.openAfterCrash();
          }
          const read = JSON.stringify(await stores.journal.read(0, 1_000));
          for (const nr of gone) expect(read).not.toContain(secretOf(nr));
          for (const nr of came) if (!gone.has(nr)) expect(read).toContain(secretOf(nr));
        }
        await pruneAll(stores);
        const dump = database.dump();
        for (const nr of gone) expect(dump).not.toContain(secretOf(nr));
        for (const nr of came) if (!gone.has(nr)) expect(dump).toContain(secretOf(nr));
        database.remove();
      }),
      { numRuns: roundsOf(15), seed: seedOf(14) },
    );
  });
});
