import { describe, expect, test } from "vitest";
import { ROOM_VERSION } from "../../../src/auth/version.ts";
import { checkUpgrade, type RoomToMove } from "../../../src/policy/upgrade-check.ts";

const OPEN: RoomToMove = {
  version: "11",
  joinRule: "public",
  worldReadable: true,
  encryption: null,
  canonicalAlias: "#lobby:ours.example",
  servers: 3,
  vouched: false,
};

const note = (room: RoomToMove, topic: string) => checkUpgrade(room).notes.find((one) => one.topic === topic);

describe("what would change for a room that moves to the version with `peekable`", () => {
  test.each<[string, Partial<RoomToMove>, string, number]>([
    ["one that is public and world-readable counts as peekable, and nothing is to be done", {}, "counts", 0],
    ["one that only joiners read has to open its history", { worldReadable: false }, "closed", 2],
    ["one by invitation has to open", { joinRule: "invite" }, "closed", 2],
    ["one that is closed in both ways, both", { joinRule: "invite", worldReadable: false }, "closed", 3],
    [
      "one with the rule in a version that does not know it is closed to everybody",
      { joinRule: "peekable" },
      "closed",
      2,
    ],
    ["one that has the version has moved", { version: ROOM_VERSION, joinRule: "peekable" }, "moved", 0],
  ])("%s", (_what, more, standing, steps) => {
    const check = checkUpgrade({ ...OPEN, ...more });
    expect(check.standing).toBe(standing);
    expect(check.today).toHaveLength(steps);
  });

  test("members have to come along, and only servers that know the version can", () => {
    expect(note(OPEN, "version")?.then).toMatch(/experimental: members have to join it/);
    expect(note(OPEN, "servers")).toMatchObject({ now: expect.stringMatching(/^3 servers/) as string });
    expect(note({ ...OPEN, servers: null }, "servers")?.now).toMatch(/^the room's servers/);
  });

  test("joining and reading stay as they are", () => {
    expect(note(OPEN, "joining")).toEqual({
      topic: "joining",
      now: "everybody may join",
      then: "join rule peekable: everybody may join, as in a public room",
    });
    expect(note(OPEN, "reading")?.now).toBe("non-members may read");
  });

  test("who reads an encrypted room from outside sees that something is said, and not what", () => {
    expect(note({ ...OPEN, encryption: "m.megolm.v1.aes-sha2" }, "reading")?.then).toMatch(/encrypted/);
  });

  test("what version 12 brings is told to rooms before it only, with the alias that spares links their `via`", () => {
    expect(note(OPEN, "as version 12")?.then).toMatch(/#lobby:ours\.example can be pointed to it/);
    expect(note({ ...OPEN, version: "12" }, "as version 12")).toBeUndefined();
    expect(note({ ...OPEN, version: null }, "as version 12")).toBeDefined();
  });
});
