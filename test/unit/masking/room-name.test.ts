import { describe, expect, test } from "vitest";
import { functionalMembersOf, roomName, type NamedRoom } from "../../../src/masking/masking.ts";

const me = "@me:example.org";
const server = { userId: "@:example.org", displayName: "Server example.org" };
const alice = { userId: "@alice:example.org", displayName: "Alice" };
const bob = { userId: "@bob:example.org", displayName: "Bob" };
const charlie = { userId: "@charlie:example.org", displayName: "Charlie" };
const bot = { userId: "@bot:example.org", displayName: "Bot" };

/** A room of so many joined members, and what is special about it. */
function room(joined: number, heroes: NamedRoom["heroes"], rest: Partial<NamedRoom> = {}): NamedRoom {
  return { me, heroes, joined, invited: 0, ...rest };
}

describe("a room's name, as the specification calculates it", () => {
  const everything = { name: "Tea", canonicalAlias: "#tea:example.org" };
  test.each<[string, NamedRoom, string]>([
    ["the name", room(2, [alice], everything), "Tea"],
    ["the alias where the name is empty", room(2, [alice], { ...everything, name: "" }), "#tea:example.org"],
    ["the members where both are empty", room(2, [alice], { name: "", canonicalAlias: "" }), "Alice"],
    ["the members where both are missing", room(2, [alice], { name: null, canonicalAlias: null }), "Alice"],
    ["one other", room(2, [alice]), "Alice"],
    ["two others", room(3, [alice, bob]), "Alice and Bob"],
    ["three others", room(4, [alice, bob, charlie]), "Alice, Bob and Charlie"],
    ["who is invited counts as well", room(1, [alice], { invited: 1 }), "Alice"],
    ["fewer heroes than members", room(1237, [alice, bob]), "Alice, Bob and 1234 others"],
    ["one more than heroes", room(3, [alice]), "Alice and 1 other"],
    ["nobody to name", room(5, []), "4 others"],
    ["no display name", room(2, [{ userId: "@dora:example.org" }]), "@dora:example.org"],
    ["an empty display name", room(2, [{ userId: "@dora:example.org", displayName: "" }]), "@dora:example.org"],
    [
      "two of one name",
      room(4, [alice, { userId: "@alice:remote.example", displayName: "Alice" }, bob]),
      "Alice (@alice:example.org), Alice (@alice:remote.example) and Bob",
    ],
    ["oneself is not named", room(2, [{ userId: me, displayName: "Me" }, alice]), "Alice"],
    [
      "more heroes than fit",
      room(
        8,
        ["a", "b", "c", "d", "e", "f", "g"].map((name) => ({ userId: `@${name}:x` })),
      ),
      "@a:x, @b:x, @c:x, @d:x, @e:x and 2 others",
    ],
    ["alone, after Alice left", room(1, [alice]), "Empty Room (was Alice)"],
    ["alone, after several left", room(1, [alice, bob, charlie]), "Empty Room (was Alice, Bob and Charlie)"],
    ["alone from the beginning", room(1, []), "Empty Room"],
    ["everybody has left, oneself too", room(0, [alice]), "Empty Room (was Alice)"],
  ])("%s", (_what, given, expected) => expect(roomName(given)).toBe(expected));
});

describe("a room's name without pseudousers", () => {
  test.each<[string, NamedRoom, string]>([
    ["one other and a pseudouser", room(3, [server, alice]), "Alice"],
    ["pseudousers of several servers", room(5, [server, { userId: "@:remote.example" }, alice, bob]), "Alice and Bob"],
    ["a room for two, one of them a pseudouser: nobody else is there", room(2, [server]), "Empty Room"],
    ["the same, after Bob has left", room(2, [server], { former: [bob] }), "Empty Room (was Bob)"],
    ["only a pseudouser was there before", room(1, [], { former: [server] }), "Empty Room"],
    [
      "they are not counted either, where heroes name them",
      room(1238, [server, alice, bob]),
      "Alice, Bob and 1234 others",
    ],
    [
      "nor where heroes do not, and it is known",
      room(1238, [alice, bob], { uncounted: 1 }),
      "Alice, Bob and 1234 others",
    ],
    ["where the counts are masked, nothing is taken off twice", room(2, [server, alice], { uncounted: 0 }), "Alice"],
    ["a pseudouser by another name", room(3, [{ userId: "@_s:x" }, alice], { also: ["@_s:x"] }), "Alice"],
    ["a room named after its pseudouser stays so", room(2, [server], { name: "@:example.org" }), "@:example.org"],
  ])("%s", (_what, given, expected) => expect(roomName(given)).toBe(expected));

  test.each<[string, NamedRoom, string]>([
    ["a bot beside one other", room(3, [bot, alice], { functionalMembers: [bot.userId] }), "Alice"],
    ["a bot alone", room(2, [bot], { functionalMembers: [bot.userId] }), "Empty Room"],
    ["a bot that is a pseudouser too", room(3, [server, alice], { functionalMembers: [server.userId] }), "Alice"],
    [
      "a functional member that is not there",
      room(3, [alice, bob], { functionalMembers: [bot.userId] }),
      "Alice and Bob",
    ],
    ["oneself, functional or not, is who the name is for", room(2, [alice], { functionalMembers: [me] }), "Alice"],
  ])("functional members (MSC4171): %s", (_what, given, expected) => expect(roomName(given)).toBe(expected));

  test("in another language", () => {
    const words = {
      list: (names: readonly string[], others: number) =>
        [...names, ...(others > 0 ? [`${others} weitere`] : [])].join(" und "),
      empty: (was: string | null) => (was === null ? "Leerer Raum" : `Leerer Raum (früher ${was})`),
    };
    expect(roomName(room(5, [server, alice]), words)).toBe("Alice und 2 weitere");
    expect(roomName(room(1, [bob]), words)).toBe("Leerer Raum (früher Bob)");
  });
});

describe("functional members in their event", () => {
  test.each<[unknown, string[]]>([
    [{ service_members: ["@bot:x", 7, null, "@:x"] }, ["@bot:x", "@:x"]],
    [{ service_members: "@bot:x" }, []],
    [{}, []],
    [null, []],
    ["service_members", []],
    [undefined, []],
  ])("%j names %j", (content, expected) => expect(functionalMembersOf(content)).toEqual(expected));
});
