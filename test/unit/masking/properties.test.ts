import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  isPseudouser,
  maskAnswer,
  maskBytes,
  MaskingStream,
  mayNeedMasking,
  type Hidden,
} from "../../../src/masking/masking.ts";
import { anyAnswer, HIDDEN, NAMED, UNCOUNTED } from "./arbitraries.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
const spaces = fc.constantFrom(undefined, 1, "\r\n\t ");
const sizes = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 });

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** What a stream gives for bytes that come in pieces, and the most that it held. */
function streamed(
  bytes: Uint8Array,
  pieces: readonly number[],
  hidden: Hidden,
  bound?: number,
): { readonly text: string; readonly held: number } {
  const stream = new MaskingStream(hidden, bound);
  const parts: Uint8Array[] = [];
  let [held, at, gone] = [0, 0, 0];
  for (let turn = 0; at < bytes.length; turn++) {
    const piece = bytes.subarray(at, at + (pieces[turn % pieces.length] ?? 1));
    at += piece.length;
    const part = stream.push(piece);
    parts.push(part);
    gone += part.length;
    held = Math.max(held, at - gone);
  }
  parts.push(stream.end());
  return { text: Buffer.concat(parts).toString("utf8"), held };
}

/** Members, presences, user entries and lists of users that name a pseudouser where the homeserver names it, by a walk of its own. */
function namings(value: unknown, isUsersWord = false): unknown[] {
  if (Array.isArray(value))
    return value.flatMap((inner) => [...(isUsersWord ? [] : named(inner)), ...namings(inner, isUsersWord)]);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    ...(!isUsersWord && isPseudouser(key, [NAMED]) ? [key] : []),
    ...namings(inner, isUsersWord || /^(?:prev_)?content$|_state$|^groups$|heroes$/.test(key)),
  ]);
}

function named(element: unknown): unknown[] {
  const is = (user: unknown): boolean => typeof user === "string" && isPseudouser(user, [NAMED]);
  if (typeof element !== "object" || element === null) return is(element) ? [element] : [];
  const { type, state_key, sender } = element as Record<string, unknown>;
  return (type === "m.room.member" && is(state_key)) || (type === "m.presence" && is(sender)) ? [element] : [];
}

describe("masking, whatever the answer", () => {
  it("leaves no pseudouser where the homeserver names one", () => {
    fc.assert(
      fc.property(anyAnswer(), (answer) => {
        expect(namings(maskAnswer(answer, { also: [NAMED], counts: HIDDEN.counts }))).toEqual([]);
      }),
      { numRuns: 1_500 },
    );
  });

  it("of bytes is the same as masking what they say, in whatever way the JSON is spaced, whole and in pieces", () => {
    fc.assert(
      fc.property(anyAnswer(), spaces, sizes, (answer, space, pieces) => {
        const bytes = bytesOf(JSON.stringify(answer, null, space));
        const masked = textOf(maskBytes(bytes, HIDDEN));
        expect(JSON.stringify(JSON.parse(masked))).toBe(JSON.stringify(maskAnswer(answer, HIDDEN)));
        expect(streamed(bytes, pieces, HIDDEN).text).toBe(masked);
      }),
      {
        numRuns: 2_000,
        examples: [[{ invite_room_state: [{ num_joined_members: 1, room_id: "!one:example.org" }] }, undefined, [1]]],
      },
    );
  });

  it("is JSON where little may be held, and no more is held than may be, and a piece", () => {
    fc.assert(
      fc.property(
        anyAnswer(),
        spaces,
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 600, max: 900 }),
        (answer, space, size, bound) => {
          const bytes = bytesOf(JSON.stringify(answer, null, space));
          const { text, held } = streamed(bytes, [size], UNCOUNTED, bound);
          expect(isJson(text)).toBe(true);
          // What was left out is not held, and cannot be told from it here.
          if (text.length === textOf(bytes).length) expect(held).toBeLessThanOrEqual(bound + size);
        },
      ),
      { numRuns: 1_500 },
    );
  });

  it("hands back the same object, and the same bytes, where no pseudouser is in it", () => {
    fc.assert(
      fc.property(anyAnswer([]), (answer) => {
        const bytes = bytesOf(JSON.stringify(answer));
        expect(maskAnswer(answer, UNCOUNTED)).toBe(answer);
        expect(maskBytes(bytes, UNCOUNTED)).toBe(bytes);
      }),
    );
  });

  it("changes nothing more when it is done again, counts apart", () => {
    fc.assert(
      fc.property(anyAnswer(), (answer) => {
        const hidden = { ...UNCOUNTED, heroes: () => ["@zoë:example.org"] };
        const once = maskAnswer(answer, hidden);
        expect(maskAnswer(withoutLive(once), hidden)).toEqual(withoutLive(once));
      }),
    );
  });

  it("leaves the answer that it is given as it was", () => {
    fc.assert(
      fc.property(anyAnswer(), (answer) => {
        const before = JSON.stringify(answer);
        maskAnswer(answer, HIDDEN);
        expect(JSON.stringify(answer)).toBe(before);
      }),
    );
  });

  it("is announced by the search for bytes", () => {
    fc.assert(
      fc.property(anyAnswer(), (answer) => {
        if (maskAnswer(answer, HIDDEN) !== answer)
          expect(mayNeedMasking(bytesOf(JSON.stringify(answer)), [NAMED])).toBe(true);
      }),
    );
  });

  it("never fails on bytes that are no JSON, or that are cut off: they come back as they are, or masked", () => {
    fc.assert(
      fc.property(anyAnswer(), fc.nat(), fc.uint8Array({ maxLength: 3 }), sizes, (answer, where, junk, pieces) => {
        const whole = bytesOf(JSON.stringify(answer));
        const at = where % (whole.length + 1);
        const cut = whole.slice(0, at);
        if (!isJson(textOf(cut))) expect(maskBytes(cut, HIDDEN)).toBe(cut);
        const spoilt = new Uint8Array([...cut, ...junk, ...whole.slice(at)]);
        expect(() => maskBytes(spoilt, HIDDEN)).not.toThrow();
        expect(() => streamed(spoilt, pieces, HIDDEN, 500)).not.toThrow();
      }),
    );
  });
});

/** What is counted as new is lowered again where it is masked again. */
function withoutLive(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, inner: unknown) => (key === "num_live" ? undefined : inner)));
}
