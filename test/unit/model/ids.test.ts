import { describe, expect, test } from "vitest";
import {
  isEventId,
  isRoomAlias,
  isRoomId,
  isServerName,
  isTenantId,
  isUserId,
  localpartOf,
  serverOf,
  type UserId,
} from "../../../src/model/ids.ts";
import { pseudouserOf } from "../../../src/model/pseudouser.ts";
import type { ServerName } from "../../../src/model/ids.ts";

/** An identifier of exactly so many bytes, of two-byte letters where `wide`. */
function ofBytes(bytes: number, sigil: string, server: string, wide = false): string {
  const left = bytes - sigil.length - server.length;
  return sigil + (wide ? "é".repeat(left / 2) : "x".repeat(left)) + server;
}

describe("server names", () => {
  test.each([
    "example.org",
    "localhost",
    "127.0.0.1",
    "a-b.example:8448",
    "[::1]",
    "[2001:db8::1]:8448",
    "EXAMPLE.org",
  ])("%j is one", (text) => expect(isServerName(text)).toBe(true));
  test.each([
    "",
    ":8448",
    "example.org:",
    "example.org:port",
    "example.org:123456",
    "exa mple.org",
    "a_b.example",
    "::1",
  ])("%j is none", (text) => expect(isServerName(text)).toBe(false));
  test.each(["example.org/path", "example.org\n", "[::1", "[]", "[not-ip]", "é.example", "example.org\0"])(
    "%j is none either",
    (text) => expect(isServerName(text)).toBe(false),
  );
});

describe("user IDs", () => {
  test.each([
    "@alice:example.org",
    "@:example.org",
    "@Alice With Spaces!:example.org",
    "@élise:example.org",
    "@alice:example.org:8448",
    "@alice:[2001:db8::1]:8448",
    "@:[::1]",
    ofBytes(255, "@", ":example.org"),
    ofBytes(255, "@", ":exampl.org", true),
  ])("%j is one", (text) => expect(isUserId(text)).toBe(true));
  test.each([
    "",
    "@",
    "alice:example.org",
    "@alice",
    "@alice:",
    "@:",
    "#alice:example.org",
    "@alice:exa mple",
    "@a:b:example.org",
    ofBytes(256, "@", ":example.org"),
    ofBytes(257, "@", ":exampl.org", true),
  ])("%j is none", (text) => expect(isUserId(text)).toBe(false));

  test.each([
    ["@alice:example.org:8448", "alice", "example.org:8448"],
    ["@:example.org", "", "example.org"],
    ["@bob:[::1]:80", "bob", "[::1]:80"],
  ])("%j is made of %j and %j", (id, localpart, server) => {
    expect([localpartOf(id as UserId), serverOf(id as UserId)]).toEqual([localpart, server]);
  });
});

describe("room IDs", () => {
  test.each([
    "!opaque:example.org",
    "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM",
    "!with:two:colons",
    "!!",
    "! :x",
    ofBytes(255, "!", ""),
    ofBytes(255, "!", "", true),
  ])("%j is one", (text) => expect(isRoomId(text)).toBe(true));
  test.each([
    "",
    "!",
    "opaque:example.org",
    "#alias:example.org",
    "!a\0b",
    ofBytes(256, "!", ""),
    ofBytes(257, "!", "", true),
  ])("%j is none", (text) => expect(isRoomId(text)).toBe(false));
});

describe("room aliases", () => {
  test.each(["#room:example.org", "#:example.org", "#ü:example.org:8448"])("%j is one", (text) =>
    expect(isRoomAlias(text)).toBe(true),
  );
  test.each(["#room", "#room:", "room:example.org", "!room:example.org", ofBytes(256, "#", ":example.org")])(
    "%j is none",
    (text) => expect(isRoomAlias(text)).toBe(false),
  );
});

describe("event IDs", () => {
  test.each(["$opaque:example.org", "$Rqnc-F-dvnEYJTyHq_iKxU2bZ1CI92-kuZq3a5lr5Zg", ofBytes(255, "$", "")])(
    "%j is one",
    (text) => expect(isEventId(text)).toBe(true),
  );
  test.each(["", "$", "opaque", ofBytes(256, "$", "")])("%j is none", (text) => expect(isEventId(text)).toBe(false));
});

describe("tenant IDs", () => {
  test.each(["telegram", "irc-2", "a", "0", "a.b_c", "x".repeat(63)])("%j is one", (text) =>
    expect(isTenantId(text)).toBe(true),
  );
  test.each(["", "-a", ".", "..", "_a", "a/b", "a b", "é", "x".repeat(64), "a\n", "__proto__"])("%j is none", (text) =>
    expect(isTenantId(text)).toBe(false),
  );
});

describe("pseudousers", () => {
  const own = pseudouserOf("ours.example" as ServerName, "");
  const fallback = pseudouserOf("ours.example" as ServerName, "_server");

  test("is named by its server, and by a localpart where the homeserver wants one", () => {
    expect([own, fallback]).toEqual(["@:ours.example", "@_server:ours.example"]);
  });
});
