import { describe, expect, test } from "vitest";
import { PeekChanges, RoomNews } from "../../../src/peek/msc2753/news.ts";
import type { JournalEntry } from "../../../src/ledger/journal.ts";
import type { RoomId } from "../../../src/model/ids.ts";
import { Signal } from "../../../src/concurrency/signal.ts";
import { ManualClock } from "../../support/clock.ts";
import { message, OTHER_ROOM, ROOM } from "../../support/events.ts";

/** A journal whose entries below `first` are gone. */
function journalOf(rooms: RoomId[], first = 1) {
  const entries = (): JournalEntry[] =>
    rooms.map((room, index) => ({ seq: index + 1, receivedAt: 0, event: message({ id: String(index + 1), room }) }));
  return {
    bounds: async () => ({ first: Math.min(first, rooms.length), last: rooms.length }),
    read: async (after: number, limit: number) =>
      entries()
        .filter(({ seq }) => seq > after && seq >= first)
        .slice(0, limit),
  };
}

describe("which rooms have news", () => {
  test("is known by their newest events", async () => {
    const rooms = [ROOM, OTHER_ROOM, ROOM];
    const news = new RoomNews(journalOf(rooms));
    expect(await news.read()).toBe(3);
    expect([news.isAfter(ROOM, 2), news.isAfter(ROOM, 3)]).toEqual([true, false]);
    expect([news.isAfter(OTHER_ROOM, 1), news.isAfter(OTHER_ROOM, 2)]).toEqual([true, false]);
    expect(news.newestIn(ROOM)).toEqual({ seq: 3, eventId: "$3" });
    rooms.push(OTHER_ROOM);
    expect(await news.read()).toBe(4);
    expect(news.isAfter(OTHER_ROOM, 2)).toBe(true);
  });

  test("is taken for possible where the journal has lost what came", async () => {
    const news = new RoomNews(journalOf([ROOM, ROOM, ROOM, OTHER_ROOM, OTHER_ROOM], 4));
    await news.read();
    expect([news.isAfter(ROOM, 2), news.isAfter(ROOM, 3)]).toEqual([true, false]);
  });

  test("is taken for possible where too much came to be read", async () => {
    const rooms = [ROOM, ...Array.from({ length: 6_000 }, () => OTHER_ROOM)];
    const news = new RoomNews(journalOf(rooms));
    await news.read();
    expect([news.isAfter(ROOM, 0), news.isAfter(ROOM, 6_001)]).toEqual([true, false]);
  });

  test("is right for all who ask at once, also while more comes", async () => {
    const rooms = [ROOM];
    const news = new RoomNews(journalOf(rooms));
    const first = news.read();
    rooms.push(OTHER_ROOM);
    const second = news.read();
    expect(await Promise.all([first, second])).toEqual([1, 2]);
    expect(news.newestIn(OTHER_ROOM)?.seq).toBe(2);
  });

  test("of very many rooms is forgotten, and then taken for possible", async () => {
    const rooms = Array.from({ length: 4_000 }, (_, n) => `!${n}:x` as RoomId);
    const news = new RoomNews(journalOf(rooms));
    await news.read();
    for (let n = 4_000; n < 12_000; n += 1) {
      rooms.push(`!${n}:x` as RoomId);
      if (n % 4_000 === 3_999) await news.read();
    }
    expect([news.newestIn(rooms[0] as RoomId), news.isAfter(rooms[0] as RoomId, 0)]).toEqual([null, true]);
    expect(news.isAfter(rooms[0] as RoomId, 12_000)).toBe(false);
  });
});

const quiet = { error() {}, warn() {}, info() {}, debug() {} };

describe("of many who wait", () => {
  test("an event wakes those whose room it is in, at once the first, and the next together", async () => {
    const rooms: RoomId[] = [];
    const [news, committed, clock, stop] = [
      new RoomNews(journalOf(rooms)),
      new Signal(),
      new ManualClock(),
      new AbortController(),
    ];
    const following = news.follow(committed, clock, quiet, stop.signal);
    await clock.advance(1_000);
    const woken: string[] = [];
    const wait = (name: string, room: RoomId, seq: number): void =>
      void news.next([room], seq, stop.signal).then(() => woken.push(name));
    const come = async (room: RoomId): Promise<void> => {
      rooms.push(room);
      committed.notify();
      await clock.advance(0);
    };
    wait("one", ROOM, 0);
    wait("other", OTHER_ROOM, 0);
    await come(ROOM);
    expect(woken).toEqual(["one"]);
    wait("one", ROOM, 1);
    await come(ROOM);
    await come(OTHER_ROOM);
    expect(woken).toEqual(["one"]);
    await clock.advance(50);
    expect(woken.sort()).toEqual(["one", "one", "other"]);
    // What is there already is not waited for.
    wait("late", ROOM, 1);
    await clock.advance(0);
    expect(woken).toContain("late");
    stop.abort();
    await following;
  });

  test("nobody is woken by what is no change of peeks", async () => {
    const [signal, stop, clock] = [new Signal(), new AbortController(), new ManualClock()];
    let newest = 1;
    const changes = new PeekChanges();
    const store = { newest: async () => newest };
    const following = changes.follow({ store, signals: [signal], clock, log: quiet }, stop.signal);
    await clock.advance(0);
    let woken = 0;
    void changes.changed.next(stop.signal).then(() => (woken += 1));
    signal.notify();
    await clock.advance(0);
    expect(woken).toBe(0);
    newest = 2;
    signal.notify();
    await clock.advance(0);
    expect(woken).toBe(1);
    stop.abort();
    await following;
  });
});
