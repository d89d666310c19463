import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { merged, outlineOf } from "../../../src/peek/merge.ts";
import type { RoomId } from "../../../src/model/ids.ts";
import { isJsonObject, type JsonObject } from "../../../src/model/json.ts";

const ROOM = "!peeked:elsewhere.test" as RoomId;
const GONE = "!gone:elsewhere.test" as RoomId;

function merge(body: string, peek: JsonObject | null, left: readonly RoomId[], next = "peek1.next"): string {
  const bytes = Buffer.from(body);
  const outline = outlineOf(bytes, "next_batch");
  if (outline === null) throw new Error("no outline");
  const rooms = new Map(peek === null ? [] : [[ROOM, JSON.stringify(peek)] as const]);
  const answer = merged(bytes, outline, { next, peek: rooms, left });
  if (!Buffer.isBuffer(answer)) throw new Error("merged in pieces");
  return answer.toString();
}

describe("the homeserver's sync", () => {
  const bodies: Readonly<Record<string, string>> = {
    "without rooms": '{"next_batch":"s1","to_device":{"events":[{"a":"}"}]}}',
    "with nothing else": '{"next_batch":"s1"}',
    "with empty rooms": '{"rooms":{},"next_batch":"s1"}',
    "with spaces": ' { "rooms" : { "leave" : { } , "join":{"!a:b":{"x":[1,"\\"]"]}} } , "next_batch" : "s1" } ',
    "with rooms that were left": '{"next_batch":"s1","rooms":{"leave":{"!l:b":{"timeline":{}}}}}',
    "with a token like it inside":
      '{"account_data":{"next_batch":"x","rooms":{}},"next_batch":"s1","rooms":{"join":{}}}',
  };
  test.each(Object.entries(bodies))("%s keeps all that it had", (_what, body) => {
    const answer = JSON.parse(merge(body, { timeline: { events: [] } }, [GONE])) as JsonObject;
    const before = JSON.parse(body) as JsonObject;
    const rooms = isJsonObject(before["rooms"]) ? before["rooms"] : {};
    const leave = isJsonObject(rooms["leave"]) ? rooms["leave"] : {};
    const { [GONE]: gone, ...kept } = (answer["rooms"] as JsonObject)["leave"] as JsonObject;
    expect(gone).toMatchObject({ timeline: { events: [], limited: false } });
    expect(kept).toEqual(leave);
    expect(answer).toEqual({
      ...before,
      next_batch: "peek1.next",
      rooms: { ...rooms, leave: { ...leave, [GONE]: gone }, peek: { [ROOM]: { timeline: { events: [] } } } },
    });
  });

  test("is byte for byte the same but for the token where there is nothing to add", () => {
    const body = '{"rooms" : {"join":{}}, "next_batch":"s1"}';
    expect(merge(body, null, [], "s1")).toBe(body);
  });

  test("says which rooms it tells of, also where their IDs are written with escapes", () => {
    const body = Buffer.from('{"next_batch":"s1","rooms":{"join":{"\\u0021a:b":{}},"invite":{"!i:b":{}}}}');
    const outline = outlineOf(body, "next_batch");
    expect([...(outline?.joined ?? [])]).toEqual(["!a:b"]);
    expect([...(outline?.rooms ?? [])]).toEqual(["!a:b", "!i:b"]);
  });

  test.each([
    "",
    "[]",
    "{",
    '{"rooms":{}}',
    '{"next_batch":1}',
    '{"next_batch":"s1","rooms":{"join":{"!a:b"}}}',
    "null",
  ])("that is %s is none", (body) => expect(outlineOf(Buffer.from(body), "next_batch")).toBeNull());

  test("whatever it holds is held afterwards", () => {
    const value = fc.jsonValue({ maxDepth: 3 });
    const answer = fc.record({ extra: value, join: fc.dictionary(fc.string(), value), text: fc.string() });
    fc.assert(
      fc.property(answer, ({ extra, join, text }) => {
        const body = {
          [text === "rooms" || text === "next_batch" ? "x" : text]: extra,
          rooms: { join },
          next_batch: text,
        };
        const answer: unknown = JSON.parse(merge(JSON.stringify(body), { a: 1 }, []));
        const plain: unknown = JSON.parse(JSON.stringify(body));
        expect(answer).toEqual({
          ...(plain as JsonObject),
          next_batch: "peek1.next",
          rooms: { ...((plain as JsonObject)["rooms"] as JsonObject), peek: { [ROOM]: { a: 1 } } },
        });
      }),
    );
  });
});
