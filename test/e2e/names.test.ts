/** A name is never a right, on real Synapses: aliases of another server that move, names that rooms claim, routes that are denied. */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

let stage: Stage;
let mallory: MatrixUser;
let alice: MatrixUser;

beforeAll(async () => {
  stage = await openStage();
  mallory = await stage.user(stage.theirs, "mallory");
  alice = await stage.user(stage.ours, "alice");
});
afterAll(() => stage.close());

async function point(user: MatrixUser, alias: string, roomId: string): Promise<void> {
  const path = `/_matrix/client/v3/directory/room/${encodeURIComponent(alias)}`;
  await user.request("DELETE", path);
  expect((await user.request("PUT", path, {}, { room_id: roomId })).status).toBe(200);
}

it("an alias of another server, pointed to another tenant's private room, is refused until the operator confirms", async () => {
  const theirs = stage.theirs.serverName;
  const alias = `#comm:${theirs}`;
  const open = await mallory.createRoom({ preset: "public_chat", room_alias_name: "comm" });
  const [a, b] = [await stage.tenant("a"), await stage.tenant("b")];
  const allow = ["tenant", "allow", "a", "--room", alias, "--action", "read,send"];
  expect((await stage.emissary.run(...allow)).stdout).toContain(`${alias} stands for ${open}`);
  expect(await a.join(alias)).toBe(open);

  const secret = await mallory.createRoom({ preset: "private_chat" });
  // The grant first: an invite that is for nobody is declined.
  await stage.emissary.run("tenant", "allow", "b", "--room", secret);
  await mallory.invite(secret, stage.pseudouser);
  await until(
    "the other tenant in its room",
    () => b.join(secret, [theirs]).catch(() => null),
    (joined) => joined === secret,
  );
  await b.sendText(secret, "between us");
  await point(mallory, alias, secret);

  await expect(a.join(alias)).rejects.toMatchObject({ status: 403, errcode: "M_FORBIDDEN" });
  await expect(a.messages(secret)).rejects.toMatchObject({ status: 403 });
  const shown = await stage.emissary.run("tenant", "show", "a");
  expect(shown.stdout).toContain(`${alias} stands for ${open}, and was found to point to ${secret} at `);
  expect((await stage.emissary.run(...allow)).stdout).toContain(`${alias} stands for ${secret}`);
  expect(await a.join(alias)).toBe(secret);
});

it("a hostile room that calls itself by an excepted alias is not spared", async () => {
  const alias = `#ops:${stage.ours.serverName}`;
  const ops = await alice.createRoom({ preset: "public_chat" });
  const tenant = await stage.tenant("c");
  const hostile = await mallory.createRoom({ preset: "public_chat" });
  expect(await tenant.join(hostile, [stage.theirs.serverName])).toBe(hostile);
  // Their homeserver is an honest one, and lets the room claim the alias only while a friend at ours points it there.
  await alice.join(hostile, [stage.theirs.serverName]);
  await point(alice, alias, hostile);
  await mallory.sendState(hostile, "m.room.canonical_alias", { alias });
  await point(alice, alias, ops);
  expect((await stage.emissary.run("policy", "allow", alias)).stdout).toContain(`This is for ${ops}`);
  await stage.emissary.run("policy", "deny", mallory.userId);
  await until(
    "the hostile room being left",
    () => mallory.joinedMembers(hostile),
    (members) => !members.includes(stage.pseudouser),
    30_000,
  );
  await stage.emissary.run("policy", "remove", mallory.userId);
});

it("a join through a server that is denied is refused by policy, and an alias of it is not asked for", async () => {
  const theirs = stage.theirs.serverName;
  const roomId = await mallory.createRoom({ preset: "public_chat", room_version: "12", room_alias_name: "denied" });
  await stage.emissary.run("policy", "deny", "server", theirs, "--reason", "spam");
  for (const args of [[roomId, "--via", theirs], [`#denied:${theirs}`]]) {
    const { exitCode, stderr } = await stage.emissary.run("rooms", "join", ...args);
    expect([exitCode, stderr]).toEqual([
      3,
      expect.stringMatching(/is denied by the operator \(emissary policy\), rule .*: spam/),
    ]);
  }
  await stage.emissary.run("policy", "remove", "server", theirs);
  expect((await stage.emissary.run("rooms", "join", roomId, "--via", theirs)).exitCode).toBe(0);
});
