import { describe, expect, test } from "vitest";
import type { RoomId, ServerName, UserId } from "../../../src/model/ids.ts";
import type { Holder } from "../../../src/model/lease.ts";
import { gainingServers, subjectsOf, type Gain } from "../../../src/policy/budget-subjects.ts";

const ROOM = "!opaque" as RoomId;
const NOTHING: Gain = {
  roomId: ROOM,
  own: "ours.example" as ServerName,
  inviter: null,
  creator: null,
  aliasServer: null,
  via: [],
};

describe("who gains by our being in a room", () => {
  test.each<[string, Partial<Gain>, string[]]>([
    ["nobody that is known", {}, []],
    ["the server in the room's ID", { roomId: "!x:old.example" as RoomId }, ["old.example"]],
    ["not what only looks like one", { roomId: "!x:not a server" as RoomId }, []],
    ["the room's maker", { creator: "@a:maker.example" as UserId }, ["maker.example"]],
    [
      "the maker, whatever the ID says",
      { roomId: "!x:old.example" as RoomId, creator: "@a:maker.example" as UserId },
      ["maker.example"],
    ],
    [
      "the inviter and the maker",
      { inviter: "@i:inviter.example" as UserId, creator: "@a:maker.example" as UserId },
      ["inviter.example", "maker.example"],
    ],
    ["the alias's server", { aliasServer: "alias.example" as ServerName }, ["alias.example"]],
    [
      "whoever leads there, where nothing else is known",
      { via: ["v.example", "w.example"] as ServerName[] },
      ["v.example"],
    ],
    [
      "and not where something is",
      { via: ["v.example"] as ServerName[], creator: "@a:maker.example" as UserId },
      ["maker.example"],
    ],
    ["never ourselves", { creator: "@a:ours.example" as UserId, via: ["v.example"] as ServerName[] }, []],
    ["each once", { inviter: "@i:m.example" as UserId, creator: "@a:m.example" as UserId }, ["m.example"]],
  ])("%s", (_what, more, servers) => {
    expect(gainingServers({ ...NOTHING, ...more })).toEqual(servers);
  });
});

describe("who pays for a join", () => {
  const servers = ["s.example" as ServerName];
  const names = (holder: Holder, isNamed = false): string[] =>
    subjectsOf(holder, ROOM, servers, isNamed).map(({ kind, name }) => `${kind} ${name}`.trim());

  test.each<[Holder, string[]]>([
    [{ kind: "operator", name: "operator" }, []],
    [{ kind: "tenant", name: "irc" }, ["room !opaque", "tenant irc", "server s.example", "all"]],
    [{ kind: "peek", name: "user" }, ["room !opaque", "user user", "server s.example", "all"]],
    [{ kind: "invite", name: "@bob:ours.example" }, ["room !opaque", "server s.example", "all"]],
    [{ kind: "alias", name: "#a:ours.example" }, ["room !opaque", "all"]],
  ])("%o", (holder, subjects) => expect(names(holder)).toEqual(subjects));

  test("a user for all of its devices", () => {
    expect(names({ kind: "peek", name: "user.device" })).toContain("user user");
  });

  test("no server where a grant of the operator's names the room", () => {
    expect(names({ kind: "tenant", name: "irc" }, true)).toEqual(["room !opaque", "tenant irc", "all"]);
  });
});
