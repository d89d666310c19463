import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CoverageStore, Span } from "../../../../src/tenants/store/coverage.ts";
import { JournalFeed, type FeedLimits } from "../../../../src/tenants/feed/feed.ts";
import type { Journal, JournalEntry } from "../../../../src/ledger/journal.ts";
import { SharedJournal } from "../../../../src/ledger/shared-journal.ts";
import type { RoomEvent } from "../../../../src/model/event.ts";
import type { EventId, RoomId, UserId } from "../../../../src/model/ids.ts";
import { Signal } from "../../../../src/concurrency/signal.ts";
import type { JsonValue } from "../../../../src/model/json.ts";
import { toWire } from "../../../../src/model/persona.ts";
import type { Tenant } from "../../../../src/model/tenant.ts";
import { ALICE, member, message, NEW_ROOM, OTHER_ROOM, OWN, ROOM, state } from "../../../support/events.ts";
import { tenant, viewer } from "../../../support/tenants.ts";

const TELEGRAM = tenant("telegram", { users: "@telegram_" });
const IRC = tenant("irc", { users: "@irc_" });
const CAT = "@telegram_cat:ours.example" as UserId;
const NO_LIMITS: FeedLimits = { events: 1_000_000, bytes: 1_000_000_000 };

interface Lease extends Span {
  readonly tenant: Tenant;
  readonly room: RoomId;
}

const sharing = (read: Journal["read"], bounds: Journal["bounds"]): SharedJournal =>
  new SharedJournal({ read, bounds, without: (events) => events });

/** A journal with these events, the first of which is number `first`. */
function scene(events: readonly RoomEvent[], leases: readonly Lease[], first = 1) {
  const journal: JournalEntry[] = events.map((event, index) => ({ seq: first + index, receivedAt: 0, event }));
  const asked = { journal: 0, coverage: 0 };
  const coverage: Pick<CoverageStore, "spansOf"> = {
    spansOf: async (id, rooms, after) => {
      asked.coverage += 1;
      const found = leases.filter(
        ({ tenant, room, upTo }) => tenant.id === id && rooms.includes(room) && (upTo === null || upTo > after),
      );
      return Map.groupBy(found, ({ room }) => room);
    },
  };
  const read = async (after: number, limit: number) => {
    asked.journal += 1;
    return journal.filter(({ seq }) => seq > after).slice(0, limit);
  };
  const tenants = {
    all: () => [IRC, TELEGRAM],
    isPersona: ({ sender, users }: Tenant, user: UserId) => user === sender || user.startsWith(users ?? "no user"),
    isTenants: (user: UserId) => [IRC, TELEGRAM].some((one) => tenants.isPersona(one, user)),
    viewerOf: (of: Tenant) => viewer(of),
  };
  const bounds = async () => ({ first, last: first + journal.length - 1 });
  const news = new Signal();
  const owners = { ownersOf: async () => new Map() };
  const feed = new JournalFeed({ journal: sharing(read, bounds), coverage, owners, tenants, own: OWN, news });
  const happens = (event: RoomEvent): void => {
    journal.push({ seq: first + journal.length, receivedAt: 0, event });
  };
  return { feed, asked, happens, news };
}

const always = (tenant: Tenant, room: RoomId): Lease => ({ tenant, room, after: 0, upTo: null });
const invite = (id: string, user: UserId, reason?: string, room = ROOM): RoomEvent => {
  const event = member(user, "invite", { id, room, sender: ALICE });
  return reason === undefined ? event : { ...event, content: { ...event.content, reason } };
};
const seqs = ({ events }: { events: readonly { seq: number }[] }): number[] => events.map(({ seq }) => seq);

describe("what concerns a tenant", () => {
  test("is what happened in a room while it had a lease there", async () => {
    const events = [1, 2, 3, 4, 5, 6].map((nr) => message({ id: `${nr}`, room: nr % 2 === 0 ? OTHER_ROOM : ROOM }));
    const { feed } = scene(events, [
      { tenant: TELEGRAM, room: ROOM, after: 0, upTo: 1 },
      { tenant: TELEGRAM, room: ROOM, after: 4, upTo: null },
      { tenant: TELEGRAM, room: OTHER_ROOM, after: 2, upTo: 4 },
    ]);
    const piece = await feed.read(TELEGRAM, 0, NO_LIMITS);
    expect(piece).toEqual({
      events: [1, 4, 5].map((seq) => ({ seq, event: events[seq - 1] })),
      upTo: 6,
      isMore: false,
    });
    expect(seqs(await feed.read(IRC, 0, NO_LIMITS))).toEqual([]);
  });

  test("is an invite of one of its users, wherever, and nothing else of that room", async () => {
    const { feed } = scene(
      [
        invite("1", CAT),
        invite("2", TELEGRAM.sender),
        invite("3", "@irc_dog:ours.example" as UserId),
        invite("4", ALICE),
        member(CAT, "join", { id: "5" }),
        message({ id: "6" }),
        { ...message({ id: "7" }), type: "m.room.member", content: { membership: "invite" } },
      ],
      [],
    );
    expect(seqs(await feed.read(TELEGRAM, 0, NO_LIMITS))).toEqual([1, 2]);
    expect(seqs(await feed.read(IRC, 0, NO_LIMITS))).toEqual([3]);
  });

  test("is an invite of the pseudouser that is for it, which then invites the tenant's own user", async () => {
    const { feed } = scene([invite("1", OWN, "for telegram"), invite("2", OWN, "for nobody"), invite("3", OWN)], []);
    const piece = await feed.read(TELEGRAM, 0, NO_LIMITS);
    expect(piece.events).toEqual([
      { seq: 1, event: { ...invite("1", OWN, "for telegram"), state_key: TELEGRAM.sender } },
    ]);
    expect(seqs(await feed.read(IRC, 0, NO_LIMITS))).toEqual([]);
  });

  test("is no invite of the pseudouser into its room that is for another, nor one by a tenant's user that lets it in", async () => {
    const letIn = { ...invite("2", OWN, "telegram"), sender: CAT };
    const { feed } = scene([invite("1", OWN, "for irc"), letIn], [always(TELEGRAM, ROOM), always(IRC, ROOM)]);
    expect(seqs(await feed.read(TELEGRAM, 0, NO_LIMITS))).toEqual([]);
    expect((await feed.read(IRC, 0, NO_LIMITS)).events[0]?.event.state_key).toBe(IRC.sender);
  });

  test.each(["leave", "ban"] as const)(
    "is the pseudouser being put out of its room (%s): it is its own user that has to go",
    async (out) => {
      const putOut = member(OWN, out, { id: "1", sender: ALICE });
      const own = [member(OWN, "leave", { id: "2" }), member(OWN, "join", { id: "3" })];
      const { feed } = scene([putOut, ...own], [always(TELEGRAM, ROOM)]);
      const { events } = await feed.read(TELEGRAM, 0, NO_LIMITS);
      expect(events.map(({ event }) => event)).toEqual([{ ...putOut, state_key: TELEGRAM.sender }]);
      expect(seqs(await feed.read(IRC, 0, NO_LIMITS))).toEqual([]);
    },
  );

  test("shows its own events as its users'", async () => {
    const text = { msgtype: "m.text", body: "meow" };
    const profile = { displayname: "Cat", avatarUrl: null };
    const content = toWire(text, {
      type: "m.room.message",
      tenant: TELEGRAM.id,
      user: CAT,
      isSender: false,
      isPersona: () => true,
      profile,
      fallback: true,
    });
    const event = { ...message({ id: "1", sender: OWN }), content };
    const { feed } = scene([event], [always(TELEGRAM, ROOM), always(IRC, ROOM)]);
    expect((await feed.read(TELEGRAM, 0, NO_LIMITS)).events).toEqual([
      { seq: 1, event: { ...event, sender: CAT, content: text } },
    ]);
    expect((await feed.read(IRC, 0, NO_LIMITS)).events).toEqual([{ seq: 1, event }]);
  });
});

// A homeserver that passes such events on may be found; a transaction with one could never be written, nor the next be sent.
test("an event whose JSON is nested without an end stops nobody: what lies too deep in it is left out", async () => {
  const nested = JSON.parse(`${"[".repeat(20_000)}${"]".repeat(20_000)}`) as JsonValue;
  const deep = { ...message({ id: "2" }), content: { nested } };
  const { feed } = scene([message({ id: "1" }), deep, message({ id: "3" })], [always(TELEGRAM, ROOM)]);
  expect(seqs(await feed.read(TELEGRAM, 0, NO_LIMITS))).toEqual([1, 2, 3]);
  const [, { event } = { event: deep }] = (await feed.read(TELEGRAM, 0, NO_LIMITS)).events;
  expect(JSON.stringify(event)).toContain(`{"nested":${"[".repeat(400)}`);
});

describe("a piece", () => {
  const many = (count: number, room = ROOM) => Array.from({ length: count }, (_, nr) => message({ id: `${nr}`, room }));

  test("has so many events, and the next goes on behind it", async () => {
    const { feed } = scene(many(10), [always(TELEGRAM, ROOM)]);
    const first = await feed.read(TELEGRAM, 0, { ...NO_LIMITS, events: 4 });
    expect([seqs(first), first.upTo, first.isMore]).toEqual([[1, 2, 3, 4], 4, true]);
    const last = await feed.read(TELEGRAM, 8, { ...NO_LIMITS, events: 2 });
    expect([seqs(last), last.upTo, last.isMore]).toEqual([[9, 10], 10, false]);
  });

  test("has so many bytes, but one event however large", async () => {
    const events = [
      message({ id: "1" }, "x".repeat(5_000)),
      message({ id: "2" }),
      message({ id: "3" }, "x".repeat(900)),
    ];
    const { feed } = scene(events, [always(TELEGRAM, ROOM)]);
    expect(seqs(await feed.read(TELEGRAM, 0, { ...NO_LIMITS, bytes: 1_000 }))).toEqual([1]);
    expect(seqs(await feed.read(TELEGRAM, 1, { ...NO_LIMITS, bytes: 1_000 }))).toEqual([2]);
    expect(seqs(await feed.read(TELEGRAM, 1, { ...NO_LIMITS, bytes: 2_000 }))).toEqual([2, 3]);
  });

  test("looks no further than it is told to, also where there is nothing", async () => {
    const { feed } = scene(many(10), [always(TELEGRAM, ROOM)], 101);
    expect(await feed.read(TELEGRAM, 0, NO_LIMITS, 50)).toEqual({ events: [], upTo: 50, isMore: false });
    const piece = await feed.read(TELEGRAM, 0, NO_LIMITS, 103);
    expect([seqs(piece), piece.upTo, piece.isMore]).toEqual([[101, 102, 103], 103, false]);
    const past = await feed.read(TELEGRAM, 108, NO_LIMITS, 500);
    expect([seqs(past), past.upTo, past.isMore]).toEqual([[109, 110], 110, false]);
    expect(await feed.read(TELEGRAM, 110, NO_LIMITS, 110)).toEqual({ events: [], upTo: 110, isMore: false });
  });

  test("passes some thousands of strange events over and says how far it came", async () => {
    const { feed, asked } = scene([...many(12_000, OTHER_ROOM), message({ id: "mine" })], [always(TELEGRAM, ROOM)]);
    const pieces = [];
    for (let upTo = 0, isMore = true; isMore;) {
      const piece = await feed.read(TELEGRAM, upTo, NO_LIMITS);
      ({ upTo, isMore } = piece);
      pieces.push([seqs(piece), upTo, isMore]);
    }
    expect(pieces).toEqual([
      [[], 5_000, true],
      [[], 10_000, true],
      [[12_001], 12_001, false],
    ]);
    expect(asked.coverage).toBeLessThanOrEqual(asked.journal);
  });
});

describe("many tenants", () => {
  test("that wait for the same event have it read once", async () => {
    const crowd = Array.from({ length: 100 }, (_, nr) => tenant(`t${nr}`));
    const leases = crowd.map((one) => always(one, ROOM));
    const { feed, asked, happens } = scene([message({ id: "1" })], leases);
    const readAll = (after: number) => Promise.all(crowd.map((one) => feed.read(one, after, NO_LIMITS)));
    expect((await readAll(0)).map(seqs)).toEqual(crowd.map(() => [1]));
    // Once for the event, and once, or a few times, to see that there is no other.
    expect(asked.journal).toBeLessThanOrEqual(4);
    happens(message({ id: "2" }));
    expect((await readAll(1)).map(seqs)).toEqual(crowd.map(() => [2]));
  });

  // Whoever is woken by an event and joins a read that began before it would sleep again without it.
  test("never miss an event to a read that began before it came", async () => {
    const entries: JournalEntry[] = [];
    let answerFirst: () => void = () => {};
    let reads = 0;
    const read = async (after: number): Promise<readonly JournalEntry[]> => {
      reads += 1;
      const found = entries.filter(({ seq }) => seq > after);
      if (reads === 1) await new Promise<void>((resolve) => (answerFirst = resolve));
      return found;
    };
    const coverage: Pick<CoverageStore, "spansOf"> = {
      spansOf: async (_tenant, rooms) => new Map(rooms.map((room) => [room, [{ after: 0, upTo: null }]])),
    };
    const tenants = {
      all: () => [],
      isPersona: () => false,
      isTenants: () => false,
      viewerOf: (of: Tenant) => viewer(of),
    };
    const bounds = async () => ({ first: 1, last: 0 });
    const owners = { ownersOf: async () => new Map() };
    const news = new Signal();
    const feed = new JournalFeed({ journal: sharing(read, bounds), coverage, owners, tenants, own: OWN, news });
    const early = feed.read(TELEGRAM, 0, NO_LIMITS);
    entries.push({ seq: 1, receivedAt: 0, event: message({ id: "1" }) });
    const woken = [TELEGRAM, IRC].map((one) => feed.read(one, 0, NO_LIMITS));
    answerFirst();
    expect(seqs(await early)).toEqual([]);
    expect((await Promise.all(woken)).map(seqs)).toEqual([[1], [1]]);
  });
});

describe("a room that is being made for a tenant", () => {
  const create = (id: string, sender = OWN, room = NEW_ROOM): RoomEvent =>
    state("m.room.create", {}, { id, room, sender });
  const lease: Lease = { tenant: TELEGRAM, room: NEW_ROOM, after: 1, upTo: null };

  test("is not passed before the tenant has its lease there; then all of it is the tenant's", async () => {
    const leases = [always(TELEGRAM, ROOM)];
    const { feed, happens, news } = scene([message({ id: "1" })], leases);
    const making = await feed.making(TELEGRAM.id);
    expect(making.from).toBe(1);
    for (const event of [
      message({ id: "2" }),
      create("3"),
      state("m.room.name", { name: "New" }, { id: "4", room: NEW_ROOM, sender: OWN }),
    ]) {
      happens(event);
    }
    expect(await feed.read(TELEGRAM, 1, NO_LIMITS)).toMatchObject({ events: [{ seq: 2 }], upTo: 2, isMore: false });
    expect((await feed.read(IRC, 1, NO_LIMITS)).upTo).toBe(4);
    leases.push(lease);
    expect(seqs(await feed.read(TELEGRAM, 2, NO_LIMITS))).toEqual([3, 4]);
    const woken = news.next(AbortSignal.timeout(5_000));
    making.done();
    await woken;
    expect(seqs(await feed.read(TELEGRAM, 2, NO_LIMITS))).toEqual([3, 4]);
  });

  test("and does not come about, or is another's, holds nothing back for longer", async () => {
    const { feed, happens } = scene([create("1"), create("2", ALICE)], []);
    const [one, two] = [await feed.making(TELEGRAM.id), await feed.making(TELEGRAM.id)];
    expect((await feed.read(TELEGRAM, 0, NO_LIMITS)).upTo).toBe(2);
    happens(create("3", ALICE));
    happens(create("4"));
    expect((await feed.read(TELEGRAM, 0, NO_LIMITS)).upTo).toBe(3);
    one.done();
    one.done();
    expect((await feed.read(TELEGRAM, 0, NO_LIMITS)).upTo).toBe(3);
    two.done();
    expect((await feed.read(TELEGRAM, 0, NO_LIMITS)).upTo).toBe(4);
  });

  test("does not change a transaction that was begun", async () => {
    const { feed, happens } = scene([message({ id: "1" })], [always(TELEGRAM, ROOM)]);
    await feed.making(TELEGRAM.id);
    happens(create("2"));
    happens(message({ id: "3" }));
    expect(seqs(await feed.read(TELEGRAM, 0, NO_LIMITS, 3))).toEqual([1, 3]);
  });
});

describe("whatever happens", () => {
  const rooms = fc.constantFrom(ROOM, OTHER_ROOM, NEW_ROOM);
  const anyEvent = fc
    .record({
      room: rooms,
      what: fc.constantFrom("message", "invite of a persona", "invite of us", "invite for irc", "invite of a person"),
    })
    .map(({ room, what }): RoomEvent => {
      if (what === "message") return message({ id: "", room });
      if (what === "invite of us") return invite("", OWN, "telegram", room);
      if (what === "invite for irc") return invite("", OWN, "irc", room);
      return invite("", what === "invite of a persona" ? CAT : ALICE, undefined, room);
    });
  const anyLease = fc
    .record({ room: rooms, after: fc.nat(400), length: fc.option(fc.nat(200)) })
    .map(({ room, after, length }): Lease => ({
      tenant: TELEGRAM,
      room,
      after,
      upTo: length === null ? null : after + length,
    }));

  test("the pieces together are what concerns the tenant, each event once, in order, however they are cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyEvent, { maxLength: 400, size: "max" }),
        fc.array(anyLease, { maxLength: 6 }),
        fc.infiniteStream(
          fc.record({ events: fc.integer({ min: 1, max: 90 }), bytes: fc.integer({ min: 1, max: 20_000 }) }),
        ),
        async (shapes, leases, limits) => {
          const events = shapes.map((event, index) => ({ ...event, event_id: `$${index}` as EventId }));
          const { feed } = scene(events, leases);
          const wanted = events.flatMap((event, index) => {
            const seq = index + 1;
            const isCovered = leases.some(
              ({ room, after, upTo }) => room === event.room_id && after < seq && seq <= (upTo ?? seq),
            );
            const isForUs = event.content["reason"] === "telegram";
            const isOurs = event.state_key === CAT || isForUs;
            return (isCovered && event.state_key !== OWN) || isOurs ? [seq] : [];
          });
          const found: number[] = [];
          let upTo = 0;
          for (let isMore = true; isMore;) {
            const limit = limits.next().value as FeedLimits;
            const piece = await feed.read(TELEGRAM, upTo, limit);
            expect(piece.events.length).toBeLessThanOrEqual(limit.events);
            expect(await feed.read(TELEGRAM, upTo, limit, piece.upTo)).toMatchObject({ events: piece.events });
            found.push(...seqs(piece));
            ({ upTo, isMore } = piece);
          }
          expect(found).toEqual(wanted);
          expect(upTo).toBe(events.length);
        },
      ),
      { numRuns: 60 },
    );
  });
});
