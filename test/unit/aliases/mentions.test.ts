import { describe, expect, test } from "vitest";
import { MAX_QUEUED, mentionIn, MentionQueue, REST_MS } from "../../../src/aliases/mention-queue.ts";
import { AT_ONCE, RetryingThrottle } from "../../../src/concurrency/retrying-throttle.ts";
import { EmissaryError } from "../../../src/model/errors.ts";
import type { RoomEvent } from "../../../src/model/event.ts";
import type { RoomAlias, ServerName } from "../../../src/model/ids.ts";
import type { JsonObject } from "../../../src/model/json.ts";
import { ManualClock, seededRandom } from "../../support/clock.ts";

const SERVER = "example.org" as ServerName;
const event = (type: string, content: JsonObject, state_key: string | null = ""): RoomEvent =>
  ({
    event_id: "$e",
    room_id: "!r",
    type,
    sender: "@a:b",
    origin_server_ts: 1,
    content,
    ...(state_key === null ? {} : { state_key }),
  }) as RoomEvent;
const named = (nr: number): RoomAlias => `#a${nr}:example.org` as RoomAlias;

describe("what an event says of aliases", () => {
  test.each<[string, RoomEvent, readonly string[] | null]>([
    ["a canonical alias", event("m.room.canonical_alias", { alias: "#a:example.org" }), ["#a:example.org"]],
    [
      "others besides",
      event("m.room.canonical_alias", { alias: "#a:example.org", alt_aliases: ["#b:example.org", "#a:example.org"] }),
      ["#a:example.org", "#b:example.org"],
    ],
    [
      "other servers'",
      event("m.room.canonical_alias", { alias: "#a:elsewhere.test", alt_aliases: ["#a:example.org.evil.test"] }),
      [],
    ],
    ["none any more", event("m.room.canonical_alias", {}), []],
    ["nonsense", event("m.room.canonical_alias", { alias: 7, alt_aliases: { 0: "#a:example.org" } }), []],
    ["that the room was replaced", event("m.room.tombstone", { replacement_room: "!x" }), []],
    ["another state key", event("m.room.canonical_alias", { alias: "#a:example.org" }, "x"), null],
    ["no state", event("m.room.canonical_alias", { alias: "#a:example.org" }, null), null],
    ["something else", event("m.room.name", { name: "#a:example.org" }), null],
  ])("%s", (_what, given, wanted) => {
    expect(mentionIn(given, SERVER)?.aliases ?? null).toEqual(wanted);
  });

  test("a thousand aliases in one event are not looked at", () => {
    const alt_aliases = Array.from({ length: 1_000 }, (_, nr) => named(nr));
    expect(mentionIn(event("m.room.canonical_alias", { alt_aliases }), SERVER)?.aliases.length).toBeLessThan(50);
  });
});

describe("aliases that wait to be looked at", () => {
  test("wait once each, in their order", () => {
    const queue = new MentionQueue(new ManualClock());
    queue.add([named(1), named(2)]);
    queue.add([named(1), named(3)]);
    expect([queue.next(), queue.next(), queue.next()]).toEqual([1, 2, 3].map((nr) => ({ alias: named(nr) })));
    expect(queue.next()).toEqual({ alias: null, wait: null });
  });

  test("rest after they were looked at, and do not keep others waiting", async () => {
    const clock = new ManualClock();
    const queue = new MentionQueue(clock);
    queue.add([named(1)]);
    queue.next();
    await clock.advance(1_000);
    queue.add([named(1), named(2)]);
    expect(queue.next()).toEqual({ alias: named(2) });
    expect(queue.next()).toEqual({ alias: null, wait: REST_MS - 1_000 });
    await clock.advance(REST_MS - 1_000);
    expect(queue.next()).toEqual({ alias: named(1) });
  });

  test("are no more than a thousand", () => {
    const queue = new MentionQueue(new ManualClock());
    queue.add(Array.from({ length: MAX_QUEUED + 100 }, (_, nr) => named(nr)));
    expect(queue.size).toBe(MAX_QUEUED);
  });
});

describe("questions to the homeserver", () => {
  test("are no more than four at once", async () => {
    const clock = new ManualClock();
    const throttle = new RetryingThrottle(clock, seededRandom(1), new AbortController().signal);
    const rate = throttle.atMost(1_000);
    const waiting: (() => void)[] = [];
    let most = 0;
    let under = 0;
    const question = async (): Promise<void> => {
      under += 1;
      most = Math.max(most, under);
      await new Promise<void>((resolve) => waiting.push(resolve));
      under -= 1;
    };
    const clockwork = Array.from({ length: 10 }, () => throttle.ask(rate, question));
    for (let done = 0; done < 10;) {
      await clock.advance(10);
      const next = waiting.shift();
      if (next === undefined) continue;
      next();
      done += 1;
    }
    await Promise.all(clockwork);
    expect(most).toBe(AT_ONCE);
  });

  test("are asked again where it cannot tell now, and then given up", async () => {
    const clock = new ManualClock();
    const throttle = new RetryingThrottle(clock, seededRandom(1), new AbortController().signal);
    let asked = 0;
    const answer = throttle.ask(throttle.atMost(1_000), async () => {
      asked += 1;
      throw new EmissaryError("homeserver-unreachable", "It is away.");
    });
    const failure = expect(answer).rejects.toMatchObject({ code: "homeserver-unreachable" });
    await clock.advance(600_000);
    await failure;
    expect(asked).toBe(5);
  });

  test("are not asked again where it has said no", async () => {
    const throttle = new RetryingThrottle(new ManualClock(), seededRandom(1), new AbortController().signal);
    let asked = 0;
    const answer = throttle.ask(throttle.atMost(1_000), async () => {
      asked += 1;
      throw new EmissaryError("refused-by-homeserver", "No.");
    });
    await expect(answer).rejects.toMatchObject({ code: "refused-by-homeserver" });
    expect(asked).toBe(1);
  });
});
