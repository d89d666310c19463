import { describe, expect, test } from "vitest";
import { AliasLookups } from "../../../src/attendance/leases/lookups.ts";
import type { RoomAlias, RoomId, ServerName } from "../../../src/model/ids.ts";
import { Pointers } from "../../../src/policy/pointers.ts";
import { RuleBook } from "../../../src/policy/rule-book.ts";
import { ManualClock } from "../../support/clock.ts";
import { FakeDirectory } from "../../support/pointers.ts";

const ALIAS = "#a:remote.example" as RoomAlias;
const [HERE, THERE] = ["!here" as RoomId, "!there" as RoomId];
const MINUTE = 60_000;

function scene() {
  const [directory, clock, rules] = [new FakeDirectory(), new ManualClock(), new RuleBook()];
  // As the program has it: those who ask at once share a look-up.
  const lookups = new AliasLookups(directory, clock);
  const pointers = new Pointers({ directory: lookups, rules, server: "ours.example" as ServerName, clock });
  directory.points.set(ALIAS, HERE);
  return { directory, clock, rules, pointers };
}

describe("where an alias points", () => {
  test("is what the directory says, which is asked once for all who ask, and again after five minutes", async () => {
    const { directory, clock, pointers } = scene();
    const all = await Promise.all([HERE, THERE, HERE].map((room) => pointers.pointing(ALIAS, room, false)));
    expect([all, directory.asked.length]).toEqual([["there", "elsewhere", "there"], 1]);
    directory.points.set(ALIAS, THERE);
    expect(await pointers.pointing(ALIAS, HERE, false)).toBe("there");
    await clock.advance(5 * MINUTE);
    expect(await pointers.pointing(ALIAS, HERE, false)).toBe("elsewhere");
  });

  test("is not known while the directory cannot tell; a room that we are in has an hour", async () => {
    const { directory, clock, pointers } = scene();
    await pointers.pointing(ALIAS, HERE, true);
    directory.isDown = true;
    await clock.advance(6 * MINUTE);
    expect(await pointers.pointing(ALIAS, HERE, false)).toBe("unknown");
    expect(await pointers.pointing(ALIAS, HERE, true)).toBe("there");
    expect(await pointers.pointing(ALIAS, THERE, true)).toBe("elsewhere");
    // It is not asked on every occasion.
    expect(directory.asked).toHaveLength(2);
    await clock.advance(60 * MINUTE);
    expect(await pointers.pointing(ALIAS, HERE, true)).toBe("elsewhere");
  });

  test("that was never told, as after a restart, is unknown for an hour", async () => {
    const { directory, clock, pointers } = scene();
    directory.isDown = true;
    expect(await pointers.pointing(ALIAS, HERE, true)).toBe("unknown");
    await clock.advance(59 * MINUTE);
    expect(await pointers.pointing(ALIAS, HERE, true)).toBe("unknown");
    await clock.advance(MINUTE);
    expect(await pointers.pointing(ALIAS, HERE, true)).toBe("elsewhere");
    directory.isDown = false;
    await clock.advance(MINUTE);
    expect(await pointers.pointing(ALIAS, HERE, true)).toBe("there");
  });

  test("is not asked of a server that is denied, unless it is ours", async () => {
    const { directory, rules, pointers } = scene();
    rules.replace("operator", [
      { kind: "server", entity: "*", verdict: "deny", hashed: false, reason: "why", source: "operator" },
    ]);
    await expect(pointers.resolve(ALIAS)).rejects.toMatchObject({
      code: "refused-by-policy",
      reason: "denied",
      message: expect.stringContaining("rule *: why") as string,
    });
    expect(await pointers.pointing(ALIAS, HERE, true)).toBe("elsewhere");
    expect(directory.asked).toEqual([]);
    await pointers.resolve("#b:ours.example" as RoomAlias);
    expect(directory.asked).toEqual(["#b:ours.example"]);
  });
});
