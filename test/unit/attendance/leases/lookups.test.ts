import { expect, test } from "vitest";
import { AliasLookups } from "../../../../src/attendance/leases/lookups.ts";
import type { RoomTarget } from "../../../../src/attendance/leases/target.ts";
import type { RoomAlias, RoomId } from "../../../../src/model/ids.ts";
import { ManualClock, settle } from "../../../support/clock.ts";

const ALIAS = "#a:remote.test" as RoomAlias;
const TARGET: RoomTarget = { roomId: "!a:remote.test" as RoomId, via: [] };

/** Look-ups that are answered when the test says so. */
function scene() {
  const asked: {
    readonly alias: string;
    readonly abort: AbortSignal;
    readonly answer: (target: RoomTarget) => void;
  }[] = [];
  const lookups = new AliasLookups(
    { resolve: (alias, abort) => new Promise((answer) => asked.push({ alias, abort, answer })) },
    new ManualClock(),
  );
  const ask = (alias: RoomAlias, name: string) => {
    const gone = new AbortController();
    const outcome = lookups.resolve(alias, { name, abort: gone.signal }).catch((error: unknown) => error);
    return { outcome, leave: () => gone.abort() };
  };
  return { asked, ask };
}

test("many who ask for one alias share one look-up, and the next asks anew", async () => {
  const { asked, ask } = scene();
  const all = ["a", "b", "c"].map((name) => ask(ALIAS, name));
  await settle();
  expect(asked).toHaveLength(1);
  asked[0]?.answer(TARGET);
  expect(await Promise.all(all.map(({ outcome }) => outcome))).toEqual([TARGET, TARGET, TARGET]);
  void ask(ALIAS, "a");
  await settle();
  expect(asked).toHaveLength(2);
});

test("a look-up ends with the last who waits for it, and not before", async () => {
  const { asked, ask } = scene();
  const [a, b] = [ask(ALIAS, "a"), ask(ALIAS, "b")];
  await settle();
  a.leave();
  expect(await a.outcome).toMatchObject({ code: "timeout" });
  expect(asked[0]?.abort.aborted).toBe(false);
  b.leave();
  await b.outcome;
  expect(asked[0]?.abort.aborted).toBe(true);
});

test("so many are under way at one server, and for one asker", async () => {
  const { asked, ask } = scene();
  for (let nr = 0; nr < 20; nr += 1) ask(`#a${nr}:silent.test` as RoomAlias, `asker ${nr}`);
  await settle();
  expect(asked).toHaveLength(4);
  for (let nr = 0; nr < 20; nr += 1) ask(`#b:silent${nr}.test` as RoomAlias, "greedy");
  await settle();
  expect(asked).toHaveLength(4 + 8);
  ask(ALIAS, "another");
  await settle();
  expect(asked.at(-1)?.alias).toBe(ALIAS);
});
