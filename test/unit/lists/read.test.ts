import { expect, test } from "vitest";
import type { RoomStates } from "../../../src/ledger/loading/homeserver-states.ts";
import { readList } from "../../../src/lists/reader.ts";
import type { StateEvent } from "../../../src/model/event.ts";
import type { RoomId } from "../../../src/model/ids.ts";

const LIST = "!list:lists.example" as RoomId;

function statesOf(...entities: string[]): RoomStates {
  const events = entities.map((entity, n) => ({
    type: n % 2 === 0 ? "m.policy.rule.user" : "m.room.rule.user",
    state_key: `${n}`,
    content: { entity, recommendation: "m.ban" },
  }));
  return {
    async *stream() {
      for (const event of events) yield [event as unknown as StateEvent];
    },
  };
}

async function entitiesIn(states: RoomStates, most?: number): Promise<unknown> {
  const { rules, leftOut } = await readList(states, LIST, new AbortController().signal, most);
  return [rules.map(({ entity }) => entity), leftOut];
}

test("a list is all of its rules, each once, however many events say it", async () => {
  expect(await entitiesIn(statesOf("@a:x.org", "@b:x.org", "@a:x.org", ""))).toEqual([["@a:x.org", "@b:x.org"], 0]);
});

test("of a list that is too long the rest is counted", async () => {
  expect(await entitiesIn(statesOf("@a:x.org", "@b:x.org", "@c:x.org", "@d:x.org", "@a:x.org"), 2)).toEqual([
    ["@a:x.org", "@b:x.org"],
    2,
  ]);
});
