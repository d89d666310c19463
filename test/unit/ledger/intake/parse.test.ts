import { describe, expect, test } from "vitest";
import { parseTransaction } from "../../../../src/ledger/intake/parse.ts";
import { EmissaryError } from "../../../../src/model/errors.ts";
import { isDeeperThan } from "../../../../src/model/json.ts";
import { ALICE, member, message } from "../../../support/events.ts";

const a = message({ id: "a" });
const b = member(ALICE, "join", { id: "b" });
const parse = (body: unknown) => parseTransaction(Buffer.from(typeof body === "string" ? body : JSON.stringify(body)));

/** The code with which a body is refused. */
function refusal(body: string): string {
  try {
    parse(body);
  } catch (error) {
    if (error instanceof EmissaryError) return error.code;
    throw error;
  }
  return "none";
}

describe("a transaction", () => {
  test("is its events, in order", () => {
    expect(parse({ events: [a, b] })).toMatchObject({
      events: [a, b],
      setAside: [],
      ephemeral: 0,
      passing: [],
      plain: true,
    });
  });

  test.each([{ events: [] }, {}, { events: null }])("%j has none", (body) => {
    expect(parse(body)).toMatchObject({ events: [], setAside: [], ephemeral: 0 });
  });

  test.each([
    ["", "not-json"],
    ["{", "not-json"],
    ["events", "not-json"],
    [`{"events": [}`, "not-json"],
    ["null", "bad-request"],
    ["[]", "bad-request"],
    ["7", "bad-request"],
    [`"events"`, "bad-request"],
    [`{"events": {}}`, "bad-request"],
    [`{"events": "x"}`, "bad-request"],
    [`{"events": 7}`, "bad-request"],
  ])("%j is none: %s", (body, code) => expect(refusal(body)).toBe(code));

  test("of bytes that are no text is read as well as can be", () => {
    const body = Buffer.concat([Buffer.from('{"events": [], "x": "'), Buffer.from([0xff, 0xc3]), Buffer.from('"}')]);
    expect(parseTransaction(body).events).toEqual([]);
  });
});

describe("a thing among the events that is none", () => {
  test.each<[unknown, string]>([
    [null, "not an object"],
    [7, "not an object"],
    [[a], "not an object"],
    [{}, "event_id is missing or malformed"],
    [{ ...a, content: "x" }, "content is missing or not an object"],
  ])("%j is set aside with what is wrong with it, and its neighbours stay", (thing, fault) => {
    const parsed = parse({ events: [a, thing, b] });
    expect(parsed.events).toEqual([a, b]);
    expect(parsed.setAside).toEqual([{ fault, json: JSON.stringify(thing) }]);
    expect(parsed.plain).toBe(false);
  });

  test("is kept up to a bound", () => {
    const [aside] = parse({ events: [{ long: "x".repeat(100_000) }] }).setAside;
    expect(aside?.json.length).toBeLessThanOrEqual(4_096);
    expect(aside?.json.startsWith('{"long":"xxx')).toBe(true);
  });

  test("may be nested as deeply as JSON can be", () => {
    const depth = 200_000;
    const deep = `${"[".repeat(depth)}${"]".repeat(depth)}`;
    const parsed = parse(`{"events": [${JSON.stringify(a)}, ${deep}, {"deep": ${deep}}]}`);
    expect(parsed.events).toEqual([a]);
    expect(parsed.setAside.map(({ fault }) => fault)).toEqual(["not an object", "event_id is missing or malformed"]);
  });

  test.each([498, 500, 501, 999, 1_001, 5_000, 20_000, 100_000])("in an event goes as deep as 500: %i", (depth) => {
    const deep = `${"[".repeat(depth - 2)}"]"${"]".repeat(depth - 2)}`;
    const event = `{"event_id":"$deep","room_id":"!r:x.example","type":"m.room.member","sender":"@x:x.example","state_key":"@y:x.example","content":{"membership":"ban","__proto__":{"x":1},"deep":${deep}},"origin_server_ts":1}`;
    const parsed = parse(`{"events": [${JSON.stringify(a)}, ${event}, ${JSON.stringify(b)}]}`);
    expect(parsed.events.map(({ event_id }) => event_id)).toEqual([a.event_id, "$deep", b.event_id]);
    expect(parsed.events[1]).toMatchObject({ state_key: "@y:x.example", content: { membership: "ban" } });
    expect(Object.keys(parsed.events[1]!.content)).toEqual(["membership", "__proto__", "deep"]);
    const isKept = depth <= 500;
    expect(JSON.stringify(parsed.events[1]) === event).toBe(isKept);
    expect([parsed.plain, parsed.setAside.map(({ json }) => json)]).toEqual([isKept, isKept ? [] : ["event $deep"]]);
    expect(isDeeperThan(500, parsed.events[1])).toBe(false);
  });

  test("with a prototype's names harms nobody", () => {
    const parsed = parse(
      `{"events": [{"__proto__": ${JSON.stringify(a)}}], "__proto__": {"events": [${JSON.stringify(a)}]}}`,
    );
    expect(parsed.events).toEqual([]);
    expect(parsed.setAside).toHaveLength(1);
  });
});

describe("what comes with the events", () => {
  test.each(["ephemeral", "de.sorunome.msc2409.ephemeral", "to_device", "de.sorunome.msc2409.to_device"])(
    "%s is counted, and is not to be kept",
    (key) =>
      expect(parse({ events: [a], [key]: [{ type: "m.typing" }, {}] })).toMatchObject({ ephemeral: 2, plain: false }),
  );

  test("empty parts are nothing", () => {
    const body = { events: [a], ephemeral: [], to_device: [], "org.matrix.msc3202.device_lists": {} };
    expect(parse(body)).toMatchObject({ ephemeral: 0, plain: true });
  });

  test.each([{ to_device: { secret: 1 } }, { to_device: "secret" }, { "org.example.new": [1] }, { x: 0 }])(
    "%j is not to be kept, though we do not know it",
    (more) => expect(parse({ events: [a], ...more })).toMatchObject({ events: [a], plain: false }),
  );
});
