import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Dispatcher } from "undici";
import { AnswerTooLarge } from "../../../src/homeserver/client.ts";
import { OpenRoom } from "../../../src/peek/homeserver/open-room.ts";
import type { JsonObject } from "../../../src/model/json.ts";

const MIB = 1024 * 1024;

function member(n: number, padding: string): JsonObject {
  return { type: "m.room.member", state_key: `@u${n}:b`, content: { membership: "join", padding } };
}

/** As Synapse answers: what is told of a room's users comes after its state. */
function answerOf(members: number, padding = 300): JsonObject {
  return {
    room_id: "!r:b",
    messages: { chunk: [{ type: "m.room.message", content: { state: ["]", "}"] } }], start: "s1", end: "s2" },
    state: Array.from({ length: members }, (_, n) => member(n, '\\"]}é'.repeat(padding / 7))),
    presence: Array.from({ length: members }, () => ({ type: "m.presence", content: {} })),
    receipts: [{ type: "m.receipt" }],
    account_data: [{ type: "m.tag", content: { state: [1] } }],
    membership: "join",
  };
}

class Held {
  bytes = 0;
  isFree = false;

  async add(bytes: number): Promise<void> {
    this.bytes += bytes;
  }

  free(): void {
    this.isFree = true;
  }
}

function open(pieces: readonly Buffer[], limit = 64 * MIB): { room: OpenRoom; held: Held; read: () => number } {
  let count = 0;
  const body = Readable.from(
    (function* () {
      for (const piece of pieces) {
        count += piece.length;
        yield piece;
      }
    })(),
    { objectMode: false, highWaterMark: 16 * 1024 },
  );
  const held = new Held();
  const room = new OpenRoom({ statusCode: 200, headers: {}, body } as unknown as Dispatcher.ResponseData, limit, held);
  return { room, held, read: () => count };
}

function cut(text: string, size: number): Buffer[] {
  const bytes = Buffer.from(text);
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size));
}

async function rest(room: OpenRoom): Promise<JsonObject[]> {
  const events: JsonObject[] = [];
  for await (const part of room.state()) events.push(...part);
  return events;
}

describe("a room's initialSync", () => {
  test("that is small is there at once", async () => {
    const answer = answerOf(3);
    const { told, state } = await open(cut(JSON.stringify(answer), 50)).room.begin();
    expect([told["messages"], told["membership"], told["account_data"]]).toEqual([
      answer["messages"],
      "join",
      answer["account_data"],
    ]);
    expect(state).toEqual(answer["state"]);
  });

  test("that is large stays with the homeserver until its state is read, and then is not held", async () => {
    const answer = answerOf(10_000);
    const text = JSON.stringify(answer);
    const { room, held, read } = open(cut(text, 64 * 1024));
    const { told, state } = await room.begin();
    expect([told["messages"], state]).toEqual([answer["messages"], null]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(read()).toBeLessThan(MIB);
    expect(await rest(room)).toEqual(answer["state"]);
    expect(room.after()).toEqual({ membership: "join", accountData: answer["account_data"] });
    expect(held.bytes).toBeLessThan(MIB);
    expect(text.length).toBeGreaterThan(3 * MIB);
  });

  test("whose state is to be kept is held whole", async () => {
    const text = JSON.stringify(answerOf(5_000));
    const { room, held } = open(cut(text, 64 * 1024));
    await room.begin();
    for await (const part of room.state(true)) expect(part.length).toBeGreaterThan(0);
    expect(held.bytes).toBeGreaterThanOrEqual(Buffer.byteLength(text) - MIB);
  });

  test("that tells the messages last is read to its end", async () => {
    const { messages, state, ...others } = answerOf(4_000);
    const answer = { state, ...others, messages } as JsonObject;
    const begun = await open(cut(JSON.stringify(answer), 64 * 1024)).room.begin();
    expect([begun.told["messages"], begun.state?.length]).toEqual([messages, 4_000]);
  });

  test("is told the same, wherever its pieces end and in whatever order its parts come", async () => {
    const keys = ["room_id", "messages", "state", "presence", "account_data"];
    const order = fc.shuffledSubarray(keys, { minLength: keys.length });
    await fc.assert(
      fc.asyncProperty(
        order,
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 0, max: 20 }),
        async (all, size, n) => {
          const full = answerOf(n, 70);
          const answer = Object.fromEntries(all.map((key) => [key, full[key] ?? null]));
          const { room } = open(cut(JSON.stringify(answer, null, size % 3), size));
          const { told, state } = await room.begin();
          expect(told).toEqual({ ...answer, state: [], presence: [] });
          expect(state).toEqual(answer["state"]);
        },
      ),
    );
  });

  test("that ends in the middle is none", async () => {
    const text = JSON.stringify(answerOf(5_000));
    const { room } = open(cut(text.slice(0, text.length / 2), 64 * 1024));
    await room.begin();
    await expect(rest(room)).rejects.toMatchObject({ code: "homeserver-error" });
  });

  test("that is larger than a device is told is refused while it is read, and at once where that shows", async () => {
    const pieces = cut(JSON.stringify(answerOf(5_000)), 64 * 1024);
    await expect(open(pieces, 64 * 1024).room.begin()).rejects.toBeInstanceOf(AnswerTooLarge);
    const { room } = open(pieces, MIB);
    await room.begin();
    await expect(rest(room)).rejects.toBeInstanceOf(AnswerTooLarge);
  });

  test("that nobody wants any more holds nothing", async () => {
    const { room, held } = open(cut(JSON.stringify(answerOf(5_000)), 64 * 1024));
    await room.begin();
    room.drop();
    expect(held.isFree).toBe(true);
    await expect(rest(room)).rejects.toMatchObject({ code: "homeserver-unreachable" });
  });
});
