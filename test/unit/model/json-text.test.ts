/** JSON that is changed in places and stays as it was elsewhere. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { without, written, type JsonObject, type JsonValue } from "../../../src/model/json.ts";
import { revisionOf, sourced, sourcedList } from "../../../src/model/json-text.ts";

const EXACT =
  '{ "big":9007199254740993, "float": 1.0,"vast":1e400,"low":-0.0,"twice":1,"twice":2,"deep":{"of":[1.0,{"a":1,"a":1.10}]} ,"caf\\u00e9":"\\u00e9" }';

function read(text: string): JsonObject {
  return sourced(JSON.parse(text) as JsonObject, text);
}

describe("what was read", () => {
  test("is written as it was, alone and within others", () => {
    const value = read(EXACT);
    expect(written(value)).toBe(EXACT);
    expect(written({ list: [value, 1], none: undefined })).toBe(`{"list":[${EXACT},1]}`);
  });

  test("keeps all that a change does not touch", () => {
    const value = read(EXACT);
    const next = revisionOf(value, {
      ...value,
      added: "x",
      deep: { of: (value["deep"] as JsonObject)["of"]!, more: true },
    });
    expect(written(next)).toBe(
      '{"big":9007199254740993,"float":1.0,"vast":1e400,"low":-0.0,"twice":1,"twice":2,"deep":{"of":[1.0,{"a":1,"a":1.10}],"more":true},"caf\\u00e9":"\\u00e9","added":"x"}',
    );
    expect(written(revisionOf(value, without(value, "twice")))).not.toContain("twice");
    expect(written(revisionOf(value, { ...value, twice: 3 }))).toContain('"twice":3');
    expect(written(revisionOf(value, { ...value, twice: 3 }))).not.toContain('"twice":1');
  });

  test("is the same through several changes", () => {
    const value = read(EXACT);
    const next = revisionOf(value, { ...value, one: 1 });
    expect(written(next)).toContain('"float":1.0');
    const last = revisionOf(next, { ...next, two: 2 });
    expect(written(last)).toMatch(/"float":1\.0.*"one":1,"two":2}$/);
  });

  test("gives the elements of a list their texts", () => {
    const text = `{"a":[{"x":7.0}],"events" : [ {"n":1.0}, {"n":1e400 } ]}`;
    const value = JSON.parse(text) as { events: JsonObject[] };
    sourcedList(value, text, "events");
    expect(value.events.map((event) => written(event))).toEqual(['{"n":1.0}', '{"n":1e400 }']);
  });

  test("loses members of lists, and keeps the others' texts", () => {
    const value = read('{"rooms":[{"n":1.0},{"n":2.0},{"n":3.0}]}');
    const rooms = (value["rooms"] as JsonObject[]).filter((_room, index) => index !== 1);
    expect(written(revisionOf(value, { ...value, rooms }))).toBe('{"rooms":[{"n":1.0},{"n":3.0}]}');
  });
});

describe("what is judged", () => {
  const judged = new Set(["m.relates_to", "msgtype"]);
  const sent = (text: string): string => {
    const value = read(text);
    return written(revisionOf(value, { ...value, mark: 1 }, judged));
  };

  test.each([
    ["a relation twice", '{"m.relates_to":{"rel_type":"m.replace"},"m.relates_to":{"rel_type":"m.thread"},"a":1.0}'],
    ["a key in a relation twice", '{"m.relates_to":{"rel_type":"m.replace","rel_type":"m.thread"},"a":1.0}'],
    [
      "the same in a new content",
      '{"m.new_content":{"m.relates_to":{"rel_type":"m.replace","rel_type":"m.thread"}},"a":1.0}',
    ],
    [
      "a whole new content twice",
      '{"m.new_content":{"m.relates_to":{"rel_type":"m.replace"}},"m.new_content":{"m.relates_to":{"rel_type":"m.thread"}},"a":1.0}',
    ],
    ["a type twice", '{"msgtype":"m.replace","msgtype":"m.text","a":1.0}'],
    ["something that may hold anything", '{"x":{"m.replace":1},"x":1,"a":1.0}'],
    ["marks in something that stands twice", '{"x":{"y":{"org.matrix.msc1777.m.replace":1},"y":1},"a":1.0}'],
    ["marks in other letters", '{"x":{"y":{"org.m\\u0061trix.msc1777.m.replace":1},"y":1},"a":1.0}'],
  ])("is written once: %s", (_what, text) => {
    expect(sent(text)).not.toContain("m.replace");
    expect(sent(text)).toContain('"a":1.0');
  });

  test("lets plain values stand twice elsewhere", () => {
    expect(sent('{"a":1,"a":2.0,"x":{"b":1,"b":2}}')).toBe('{"a":1,"a":2.0,"x":{"b":1,"b":2},"mark":1}');
  });
});

/** Texts of objects with keys that stand twice, spaces, escapes, and numbers that JavaScript cannot hold. */
const number = fc.constantFrom("9007199254740993", "1.0", "1e400", "-0.0", "0", "1E2", "12");
const key = fc.constantFrom('"a"', '"b"', '"\\u0061"', '"__proto__"', '"m.new_content"', '""', '"m.relates_to"');
const text = fc.letrec<{ value: string }>((tie) => {
  const space = fc.constantFrom("", " ", "\n");
  const member = fc
    .tuple(space, key, space, tie("value"))
    .map(([before, name, after, value]) => `${before}${name}${after}:${after}${value}${before}`);
  return {
    value: fc.oneof(
      { depthSize: "small" },
      number,
      fc.constantFrom('"x"', '"\\"\\\\"', '"\\\\"', "null", "true", '"}]"'),
      fc.array(member, { maxLength: 4 }).map((members) => `{${members.join(",")}}`),
      fc.array(tie("value"), { maxLength: 3 }).map((list) => `[${list.join(" ,")}]`),
    ),
  };
}).value;

/** The value with some of it changed, some left out, and the rest the same or a copy. */
function changed(value: JsonValue, dice: () => number): JsonValue {
  const drawn = dice();
  if (drawn < 0.1) return "changed";
  if (typeof value !== "object" || value === null || drawn < 0.4) return value;
  if (Array.isArray(value)) return value.flatMap((one) => (dice() < 0.2 ? [] : [changed(one, dice)]));
  const kept = Object.entries(value)
    .filter(() => dice() > 0.2)
    .map(([name, one]) => [name, changed(one, dice)] as const);
  return Object.fromEntries(dice() < 0.3 ? [...kept, ["new", 1.5]] : kept);
}

test("whatever is changed, what is written reads as what it is", () => {
  fc.assert(
    fc.property(
      text,
      fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
      fc.boolean(),
      (body, dice, isJudged) => {
        const whole = `{"top":${body}}`;
        const value = read(whole);
        const next = changed(value, () => dice.next().value as number);
        const told = written(revisionOf(value, next, isJudged ? new Set(["m.relates_to"]) : null));
        expect(JSON.parse(told)).toEqual(next);
      },
    ),
    { numRuns: 2_000 },
  );
});
