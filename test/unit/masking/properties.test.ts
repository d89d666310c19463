import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { maskAnswer, maskBytes, MaskingScan, mayNeedMasking } from "../../../src/masking/masking.ts";
import { HIDDEN, kindAndAnswer, NAMED, UNCOUNTED } from "./arbitraries.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe("masking, whatever the answer", () => {
  it("of bytes is the same as masking what they say, in whatever way the JSON is spaced", () => {
    fc.assert(
      fc.property(kindAndAnswer(), fc.constantFrom(undefined, 1, "\r\n\t "), ([kind, answer], space) => {
        const masked = maskBytes(kind, bytesOf(JSON.stringify(answer, null, space)), HIDDEN);
        expect(JSON.stringify(JSON.parse(textOf(masked)))).toBe(JSON.stringify(maskAnswer(kind, answer, HIDDEN)));
      }),
      { numRuns: 1_500 },
    );
  });

  it("hands back the same object, and the same bytes, where no pseudouser is in it", () => {
    fc.assert(
      fc.property(kindAndAnswer([]), ([kind, answer]) => {
        const bytes = bytesOf(JSON.stringify(answer));
        expect(maskAnswer(kind, answer, UNCOUNTED)).toBe(answer);
        expect(maskBytes(kind, bytes, UNCOUNTED)).toBe(bytes);
      }),
    );
  });

  it("changes nothing more when it is done again, counts apart", () => {
    fc.assert(
      fc.property(kindAndAnswer(), ([kind, answer]) => {
        const once = maskAnswer(kind, answer, UNCOUNTED);
        expect(maskAnswer(kind, once, UNCOUNTED)).toBe(once);
      }),
    );
  });

  it("leaves the answer that it is given as it was", () => {
    fc.assert(
      fc.property(kindAndAnswer(), ([kind, answer]) => {
        const before = JSON.stringify(answer);
        maskAnswer(kind, answer, HIDDEN);
        expect(JSON.stringify(answer)).toBe(before);
      }),
    );
  });

  it("is announced by the search for bytes, which sees the same in pieces", () => {
    fc.assert(
      fc.property(kindAndAnswer(), fc.array(fc.integer({ min: 1, max: 200 })), ([kind, answer], sizes) => {
        const bytes = bytesOf(JSON.stringify(answer));
        const may = mayNeedMasking(kind, bytes, [NAMED]);
        if (maskAnswer(kind, answer, HIDDEN) !== answer) expect(may).toBe(true);

        const scan = new MaskingScan(kind, [NAMED]);
        let seen = false;
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 3;
          seen = scan.add(bytes.subarray(at, at + size));
          at += size;
        }
        expect(seen).toBe(may);
      }),
    );
  });

  it("never fails on bytes that are no JSON, or that are cut off: they come back as they are, or masked", () => {
    fc.assert(
      fc.property(kindAndAnswer(), fc.nat(), fc.uint8Array({ maxLength: 3 }), ([kind, answer], where, junk) => {
        const whole = bytesOf(JSON.stringify(answer));
        const at = where % (whole.length + 1);
        const cut = whole.slice(0, at);
        if (!isJson(textOf(cut))) expect(maskBytes(kind, cut, HIDDEN)).toBe(cut);
        const spoilt = new Uint8Array([...cut, ...junk, ...whole.slice(at)]);
        expect(() => maskBytes(kind, spoilt, HIDDEN)).not.toThrow();
      }),
    );
  });
});
