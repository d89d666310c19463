import { describe, expect, test } from "vitest";
import type { ServerName } from "../../../src/model/ids.ts";
import { MAX_VIA, mergeVia } from "../../../src/model/room.ts";

const servers = (...names: string[]): ServerName[] => names as ServerName[];

describe("routes to a room", () => {
  test.each([
    [servers(), servers(), []],
    [servers("a"), servers(), ["a"]],
    [servers(), servers("a"), ["a"]],
    [servers("c"), servers("a", "b"), ["c", "a", "b"]],
    [servers("b", "c"), servers("a", "b"), ["b", "c", "a"]],
    [servers("a", "a"), servers("a"), ["a"]],
  ])("%j learnt after %j are %j", (fresh, known, merged) => expect(mergeVia(fresh, known)).toEqual(merged));

  test("the newest are kept, up to a bound", () => {
    const many = servers(...Array.from({ length: 20 }, (_, n) => `s${n}`));
    expect(mergeVia(servers("new"), many)).toEqual(["new", ...many.slice(0, MAX_VIA - 1)]);
    expect(mergeVia(many, servers("old"))).toEqual(many.slice(0, MAX_VIA));
  });

  test("what was given is left as it is", () => {
    const [fresh, known] = [servers("a"), servers("b")];
    mergeVia(fresh, known);
    expect([fresh, known]).toEqual([["a"], ["b"]]);
  });
});
