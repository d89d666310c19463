import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

interface Line {
  readonly alias: string;
  readonly room_id: string;
  readonly state: string;
  readonly code: string | null;
  readonly reason: string | null;
  readonly advice: string | null;
  readonly repair: { readonly act: string; readonly room_id?: string; readonly by?: string } | null;
}

let stage: Stage;
let alice: MatrixUser;
let anna: MatrixUser;
let bob: MatrixUser;

beforeAll(async () => {
  stage = await openStage({ settings: { aliases: { keep: true } } });
  alice = await stage.user(stage.ours, "alice");
  anna = await stage.user(stage.ours, "anna");
  bob = await stage.user(stage.theirs, "bob");
});
afterAll(() => stage.close());

const aliasOf = (name: string): string => `#${name}:${stage.ours.serverName}`;
const directory = (alias: string): string => `/_matrix/client/v3/directory/room/${encodeURIComponent(alias)}`;
const list = (): Promise<Line[]> => stage.emissary.json<Line[]>("aliases");

function untilAlias(alias: string, isRight: (line: Line | undefined) => boolean): Promise<Line | undefined> {
  return until(alias, async () => (await list()).find((line) => line.alias === alias), isRight);
}

async function sweep(): Promise<void> {
  expect((await stage.emissary.run("aliases", "--sweep")).exitCode).toBe(0);
}

const membersOf = async (roomId: string, user: MatrixUser): Promise<string[]> => user.joinedMembers(roomId);

describe("a room with an alias of our server", () => {
  it("that its last member leaves is entered again through the alias, from another server and from ours", async () => {
    const roomId = await alice.createRoom({ preset: "public_chat", room_alias_name: "square" });
    await untilAlias(aliasOf("square"), (line) => line?.state === "kept");
    await alice.sendText(roomId, "I turn off the light");
    await alice.leave(roomId);
    expect(await bob.join(aliasOf("square"))).toBe(roomId);
    expect(await anna.join(aliasOf("square"))).toBe(roomId);
    expect(await membersOf(roomId, anna)).toEqual([stage.pseudouser, anna.userId, bob.userId].sort());
    const said = await bob.messages(roomId);
    expect(said.chunk.map(({ content }) => content["body"])).toContain("I turn off the light");
  });

  it("on which another server's room is stays there, too", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat" });
    await alice.join(roomId, [stage.theirs.serverName]);
    const { status } = await alice.request("PUT", directory(aliasOf("abroad")), {}, { room_id: roomId });
    expect(status).toBe(200);
    await bob.sendState(roomId, "m.room.canonical_alias", { alt_aliases: [aliasOf("abroad")] });
    await untilAlias(aliasOf("abroad"), (line) => line?.state === "kept");
    expect(await membersOf(roomId, bob)).toContain(stage.pseudouser);
  });

  it("is left after the linger once the alias is deleted", async () => {
    const roomId = await alice.createRoom({ preset: "public_chat", room_alias_name: "passing" });
    await untilAlias(aliasOf("passing"), (line) => line?.state === "kept");
    expect(await membersOf(roomId, alice)).toContain(stage.pseudouser);
    expect((await alice.request("DELETE", directory(aliasOf("passing")))).status).toBe(200);
    await untilAlias(aliasOf("passing"), (line) => line === undefined);
    await until(
      "the members",
      () => membersOf(roomId, alice),
      (members) => !members.includes(stage.pseudouser),
    );
  });

  it("that is private is listed with why not, and left alone", async () => {
    const roomId = await alice.createRoom({ preset: "private_chat", room_alias_name: "closed" });
    const line = await untilAlias(aliasOf("closed"), (found) => found?.state === "refused");
    expect(line).toMatchObject({ code: "not-visible", repair: null });
    expect(line?.reason).toContain("private");
    expect(line?.advice).toContain("emissary rooms join");
    expect(await membersOf(roomId, alice)).toEqual([alice.userId]);
    const { stdout } = await stage.emissary.run("aliases");
    expect(stdout).toMatch(new RegExp(`${aliasOf("closed")} .*refused.*private`));
  });
});

describe("an alias through which nobody comes in", () => {
  it("without Emissary is dead for ever once the last member leaves; Emissary finds and removes it", async () => {
    await stage.emissary.end();
    const roomId = await alice.createRoom({ preset: "public_chat", room_alias_name: "dead" });
    await alice.leave(roomId);
    await expect(bob.join(aliasOf("dead"))).rejects.toThrow();
    await expect(anna.join(aliasOf("dead"))).rejects.toThrow();
    await stage.emissary.start();
    const line = await untilAlias(aliasOf("dead"), (found) => found?.state === "dangling");
    expect(line).toMatchObject({ room_id: roomId, repair: { act: "remove" } });

    const unasked = await stage.emissary.run("aliases", "--repair");
    expect(unasked.exitCode).toBe(1);
    expect(unasked.stderr).toContain(`${aliasOf("dead")} points to ${roomId}, which is dangling`);
    expect(unasked.stderr).toContain("Nothing was changed");
    expect((await anna.request("GET", directory(aliasOf("dead")))).status).toBe(200);

    const repaired = await stage.emissary.run("aliases", "--repair", "--yes");
    expect(repaired).toMatchObject({ exitCode: 0, stdout: `${aliasOf("dead")}: done, remove it\n` });
    expect((await anna.request("GET", directory(aliasOf("dead")))).status).toBe(404);
    const audit = await stage.emissary.json<{ action: string; outcome: string; room_id: string }[]>("audit");
    expect(audit).toContainEqual(expect.objectContaining({ action: "alias.remove", outcome: "done", room_id: roomId }));
    // The name is free again.
    await anna.createRoom({ preset: "public_chat", room_alias_name: "dead" });
  });

  it("is pointed to the room that replaced its own", async () => {
    const old = await bob.createRoom({ preset: "public_chat", room_version: "11" });
    await alice.join(old, [stage.theirs.serverName]);
    const alias = aliasOf("moved");
    expect((await alice.request("PUT", directory(alias), {}, { room_id: old })).status).toBe(200);
    await bob.sendState(old, "m.room.canonical_alias", { alt_aliases: [alias] });
    await untilAlias(alias, (line) => line?.state === "kept");
    await bob.ban(old, stage.pseudouser);
    await untilAlias(alias, (line) => line?.state === "refused");
    const upgrade = `/_matrix/client/v3/rooms/${encodeURIComponent(old)}/upgrade`;
    const { body } = await bob.request("POST", upgrade, {}, { new_version: "12" });
    const fresh = String((body as Record<string, unknown>)["replacement_room"]);
    // Whoever was banned is banned in the new room, too.
    await bob.unban(fresh, stage.pseudouser);
    await untilAlias(alias, (line) => line?.repair?.room_id === fresh);
    // Had somebody of ours entered the new room, Synapse would have moved the alias by itself.
    const repaired = await stage.emissary.run("aliases", "--repair", "--yes");
    expect(repaired.stderr).toContain("its tombstone names another");
    expect(repaired).toMatchObject({ exitCode: 0, stdout: `${alias}: done, point it to ${fresh}\n` });
    const found = await anna.request("GET", directory(alias));
    expect(found.body).toMatchObject({ room_id: fresh });
    expect(await membersOf(fresh, bob)).toContain(stage.pseudouser);
    expect(await anna.join(alias)).toBe(fresh);
  });
});

it("an alias that no list and no event names is found with an administrator's token only", async () => {
  const roomId = await alice.createRoom({ preset: "public_chat" });
  const alias = aliasOf("hidden");
  expect((await alice.request("PUT", directory(alias), {}, { room_id: roomId })).status).toBe(200);
  await sweep();
  const swept = async (): Promise<string> => (await stage.emissary.run("aliases")).stdout;
  expect(await swept()).not.toContain(alias);

  const { accessToken } = await stage.ours.registerUser("root", { admin: true });
  writeFileSync(join(stage.emissary.dir, "root.token"), `${accessToken}\n`, { mode: 0o600 });
  stage.emissary.configure({ homeserver: { admin_token_file: "root.token" } });
  await stage.emissary.end();
  await stage.emissary.start();
  await untilAlias(alias, (line) => line?.state === "kept");
  expect(await membersOf(roomId, alice)).toContain(stage.pseudouser);
});
