import fc from "fast-check";
import type { Hidden } from "../../../src/masking/masking.ts";
import { ANSWER_KINDS, shapeOf, type AnswerKind, type Shape } from "../../../src/masking/shapes.ts";

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
  fc.constantFrom('"@:example.org"', '\\"', "\\", '{"@:b', "]}", "\ufeff", "m.room.member", "events"),
);
const people = ["@alice:example.org", "@bob:example.org", "@ :x", "@zoë:example.org", "@_server:other.example"];
const ordinary = fc.constantFrom(...people);
const anything = fc.jsonValue({ maxDepth: 3, stringUnit: "binary" });

/** JSON in the shape of an answer, with members nobody asked for, and other values where something is expected. */
export function answerOf(kind: AnswerKind, pseudousers: readonly string[] = PSEUDOUSERS): fc.Arbitrary<unknown> {
  const user = pseudousers.length === 0 ? ordinary : fc.oneof(ordinary, fc.constantFrom(...pseudousers));
  return valueOf(shapeOf(kind), user).map(written);
}

export const kindAndAnswer = (pseudousers?: readonly string[]): fc.Arbitrary<[AnswerKind, unknown]> =>
  fc.constantFrom(...ANSWER_KINDS).chain((kind) => fc.tuple(fc.constant(kind), answerOf(kind, pseudousers)));

/** As it is after a way over the wire. */
function written(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function valueOf(shape: Shape, user: fc.Arbitrary<string>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 12, arbitrary: expectedAt(shape, user) }, { weight: 1, arbitrary: anything });
}

function expectedAt(shape: Shape, user: fc.Arbitrary<string>): fc.Arbitrary<unknown> {
  switch (shape.kind) {
    case "object": {
      const fields = Object.fromEntries([...shape.at].map(([key, below]) => [key, valueOf(below, user)]));
      return fc
        .tuple(fc.dictionary(text, anything, { maxKeys: 2 }), fc.record(fields, { requiredKeys: [] }), fc.boolean())
        .map(([more, known, isFirst]) => (isFirst ? { ...known, ...more } : { ...more, ...known }));
    }
    case "rooms":
      return fc.dictionary(fc.constantFrom(...ROOMS), valueOf(shape.room, user));
    case "list":
      return fc.array(valueOf(shape.of, user), { maxLength: 4 });
    case "events":
      return eventsBy(user);
    case "users":
      return fc.dictionary(user, anything);
    case "value":
      return fc.oneof(eventsBy(user), roomBy(user));
  }
}

function eventsBy(user: fc.Arbitrary<string>): fc.Arbitrary<unknown> {
  const event = fc.record(
    {
      type: fc.oneof({ weight: 4, arbitrary: fc.constant("m.room.member") }, { weight: 1, arbitrary: text }),
      state_key: fc.oneof({ weight: 5, arbitrary: user }, { weight: 1, arbitrary: anything }),
      sender: user,
      content: fc.record({ membership: fc.constantFrom("join", "invite", "leave"), body: text }),
    },
    { requiredKeys: [] },
  );
  return fc.array(fc.oneof({ weight: 6, arbitrary: event }, { weight: 1, arbitrary: anything }), { maxLength: 6 });
}

/** A room as any of the summaries describes it. */
function roomBy(user: fc.Arbitrary<string>): fc.Arbitrary<unknown> {
  const count = fc.oneof({ weight: 5, arbitrary: fc.nat(9) }, { weight: 1, arbitrary: anything });
  const heroes = fc.array(fc.oneof(user, fc.record({ user_id: user, displayname: text })), { maxLength: 5 });
  return fc.record(
    {
      room_id: fc.constantFrom(...ROOMS),
      "m.heroes": heroes,
      "m.joined_member_count": count,
      "m.invited_member_count": count,
      num_joined_members: count,
      heroes,
      joined_count: count,
      invited_count: count,
      num_live: count,
      required_state: eventsBy(user),
      timeline: eventsBy(user),
      invite_state: eventsBy(user),
      topic: text,
    },
    { requiredKeys: [] },
  );
}
