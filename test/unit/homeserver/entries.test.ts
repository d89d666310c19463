import fc from "fast-check";
import { expect, test } from "vitest";
import { EntryRewriter } from "../../../src/homeserver/entries.ts";

function rewritten(text: string, within: string | null, piece: number, leaveOut: (entry: string) => boolean): string {
  const rewriter = new EntryRewriter({
    within,
    change: (entry) => (leaveOut(entry.toString()) ? null : entry),
    more: () => [Buffer.from(within === "joined" ? '"@more:x":{}' : '{"more":1}')],
    unreadable: null,
  });
  const bytes = Buffer.from(text);
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += piece) out.push(rewriter.push(bytes.subarray(at, at + piece)));
  expect(rewriter.isOver).toBe(true);
  return Buffer.concat(out).toString();
}

const json = fc.jsonValue({ maxDepth: 4 });
const pieces = fc.integer({ min: 1, max: 9 });
const spaces = fc.constantFrom(undefined, 2);

test("a list streams with the same entries, whatever is in them and wherever it is cut, and one more", () => {
  fc.assert(
    fc.property(fc.array(json), pieces, spaces, (list, piece, indent) => {
      const text = JSON.stringify(list, null, indent);
      expect(JSON.parse(rewritten(text, null, piece, () => false))).toEqual([...(JSON.parse(text) as []), { more: 1 }]);
    }),
  );
});

test("a list under its key streams, and what is around it stays", () => {
  fc.assert(
    fc.property(fc.array(json), json, pieces, spaces, (chunk, other, piece, indent) => {
      const text = JSON.stringify(
        { before: { chunk: [other, "chunk"] }, x: "chunk", chunk, after: [other] },
        null,
        indent,
      );
      const expected = JSON.parse(text) as { chunk: unknown[] };
      expected.chunk.push({ more: 1 });
      expect(JSON.parse(rewritten(text, "chunk", piece, () => false))).toEqual(expected);
    }),
  );
});

test("entries are left out, of a list and of an object, also the first and the last", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean()), pieces, (wanted, piece) => {
      const list = wanted.map((isWanted) => ({ a: ["]", ","], isWanted }));
      const left = (entry: string): boolean => entry.includes("false");
      expect(JSON.parse(rewritten(JSON.stringify(list), null, piece, left))).toEqual([
        ...list.filter(({ isWanted }) => isWanted),
        { more: 1 },
      ]);
      const joined = Object.fromEntries(list.map((value, nr) => [`@u"${nr}:x`, value]));
      const kept = Object.fromEntries(Object.entries(joined).filter(([, { isWanted }]) => isWanted));
      expect(JSON.parse(rewritten(JSON.stringify({ joined }), "joined", piece, left))).toEqual({
        joined: { ...kept, "@more:x": {} },
      });
    }),
  );
});

test("an entry of more than a mebibyte is an error, and nothing of it piles up", () => {
  const rewriter = new EntryRewriter({ within: null, change: (entry) => entry, more: () => [], unreadable: null });
  rewriter.push(Buffer.from('["'));
  const endless = (): void => {
    for (let nr = 0; nr < 20; nr += 1) rewriter.push(Buffer.alloc(64 * 1024, "x"));
  };
  expect(endless).toThrow(/larger than/);
});

test("an answer without the list, and one that ends in it, are told apart from a whole one", () => {
  const of = (text: string) => {
    const rewriter = new EntryRewriter({ within: "chunk", change: (entry) => entry, more: () => [], unreadable: null });
    rewriter.push(Buffer.from(text));
    return [rewriter.isFound, rewriter.isOver];
  };
  expect(of('{"other":[]}')).toEqual([false, false]);
  expect(of('{"chunk":[{}')).toEqual([true, false]);
  expect(of('{"chunk":[{}]}')).toEqual([true, true]);
});
