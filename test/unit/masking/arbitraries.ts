import fc from "fast-check";
import type { Hidden } from "../../../src/masking/masking.ts";

/** Bears another name than an empty localpart. */
export const NAMED = "@_server:fallback.example";
export const PSEUDOUSERS = ["@:example.org", "@:remote.example", NAMED];
export const ROOMS = ["!one:example.org", "!two", '!thrée "quoted" \\ {[,:]}'];

/** One pseudouser joined and two invited in the first room, none in the others. */
export const HIDDEN: Hidden = {
  also: [NAMED],
  counts: (roomId) => (roomId === ROOMS[0] ? { joined: 1, invited: 2 } : { joined: 0, invited: 0 }),
  heroes: () => ["@:spare.example", "@alice:example.org", "@zoë:example.org"],
};
export const UNCOUNTED: Hidden = { ...HIDDEN, counts: () => ({ joined: 0, invited: 0 }) };

/**
 * Texts with all that could lead a reader of bytes astray. Lone surrogates are not among them: JSON.parse of V8 13.6 takes a key
 * `"\ud800"` for `"\\"` at times, masked or not.
 */
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.constantFrom('"@:example.org"', '\\"', "\\", '{"@:b', "]}", "\ufeff", "m.room.member", "events", "@", '"@:'),
);
const people = ["@alice:example.org", "@bob:example.org", "@ :x", "@zoë:example.org", "@_server:other.example"];
const anything = fc.jsonValue({ maxDepth: 3, stringUnit: "binary" });

/** Keys that answers have, and those by which a value's place is known among them. */
const KEYS = [
  ...[
    "events",
    "state",
    "timeline",
    "chunk",
    "joined",
    "rooms",
    "join",
    "device_lists",
    "changed",
    "unsigned",
    "results",
  ],
  ...["content", "prev_content", "ephemeral", "receipts", "typing", "groups", "presence"],
  ...["invite_state", "knock_state", "stripped_state", "invite_room_state", "heroes", "m.heroes"],
];
const COUNTS = [
  ...[
    "m.joined_member_count",
    "m.invited_member_count",
    "joined_count",
    "invited_count",
    "num_joined_members",
    "num_live",
  ],
];

/** JSON such as a homeserver could answer, whatever the endpoint. */
export function anyAnswer(pseudousers: readonly string[] = PSEUDOUSERS): fc.Arbitrary<unknown> {
  const user = fc.constantFrom(...people, ...pseudousers);
  const { answer } = fc.letrec<{ answer: unknown; list: unknown; object: unknown }>((tie) => ({
    answer: fc.oneof(
      { maxDepth: 7, withCrossShrink: true },
      fc.oneof(user, text, fc.nat(9)),
      tie("list"),
      tie("object"),
      tie("object"),
    ),
    list: fc.array(fc.oneof({ weight: 3, arbitrary: eventBy(user) }, user, userEntry(user), tie("answer")), {
      maxLength: 5,
    }),
    object: fc
      .tuple(
        fc.dictionary(keyBy(user), tie("answer"), { maxKeys: 4 }),
        fc.dictionary(fc.constantFrom(...COUNTS), fc.oneof(fc.nat(9), anything), { maxKeys: 2 }),
        fc.option(fc.record({ room_id: fc.constantFrom<unknown>(...ROOMS, 7) }), { nil: {} }),
        fc.boolean(),
      )
      .map(([more, counts, room, isFirst]) =>
        isFirst ? { ...room, ...counts, ...more } : { ...more, ...counts, ...room },
      ),
  }));
  return answer.map(written);
}

/** As it is after a way over the wire. */
function written(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function keyBy(user: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...KEYS) }, fc.constantFrom(...ROOMS), user, text);
}

function userEntry(user: fc.Arbitrary<string>): fc.Arbitrary<unknown> {
  return fc.record({ user_id: user, displayname: text, type: text }, { requiredKeys: ["user_id"] });
}

function eventBy(user: fc.Arbitrary<string>): fc.Arbitrary<unknown> {
  const types = ["m.room.member", "m.room.member", "m.room.member", "m.presence", "m.typing", "m.receipt"];
  return fc.record(
    {
      type: fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...types) }, text),
      state_key: fc.oneof({ weight: 5, arbitrary: user }, anything),
      sender: user,
      event_id: text,
      content: fc.record(
        {
          membership: fc.constantFrom("join", "invite", "leave"),
          body: text,
          user_id: user,
          user_ids: fc.array(user),
          $event: fc.record({ "m.read": fc.dictionary(user, anything, { maxKeys: 3 }) }),
        },
        { requiredKeys: [] },
      ),
      unsigned: fc.record(
        { age: fc.nat(), prev_content: anything, invite_room_state: fc.array(anything) },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: [] },
  );
}
