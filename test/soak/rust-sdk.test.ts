/**
 * An unmodified matrix-sdk, the one of Element X, behind nginx with the files of packaging/proxy: what it shows of a room of another
 * server that its user is not in, beside what it shows of a room of one's own on Synapse alone.
 */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import { Driver, type LookCommands } from "../interop/driver.ts";
import { untilLeft } from "../support/peek-scenario.ts";
import { findProxies, Proxy } from "../support/proxy.ts";
import { ensureRustProgram } from "../support/rust-program.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

const program = await ensureRustProgram(path.join(import.meta.dirname, "../interop/rust-sdk"));
const nginx = (await findProxies()).here.find(({ name }) => name === "nginx");
const missing = program.binary === null ? program.why : nginx === undefined ? "there is no nginx" : null;

/** The room as the SDK has it. */
interface Known {
  readonly state: "Joined" | "Left";
  readonly name: string;
  readonly topic: string | null;
  readonly joined: number;
  readonly rule: string;
  readonly created: boolean;
  readonly members: readonly string[];
}

type Client = Driver<LookCommands>;

describe.skipIf(missing !== null)("a client on the Rust SDK", () => {
  let stage: Stage;
  let proxy: Proxy;
  let bob: MatrixUser;
  const clients: Client[] = [];

  beforeAll(async () => {
    stage = await openStage({ settings: { peek: { idle: "10s" } } });
    bob = await stage.user(stage.theirs, "bob");
    const [gateway, homeserver] = [stage.emissary.gatewayUrl, stage.ours.url].map((url) => new URL(url).host);
    proxy = await Proxy.start(nginx!, { gateway: gateway!, homeserver: homeserver! });
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.kill()));
  });
  afterAll(async () => {
    await proxy.end();
    await stage.close();
  });

  async function start(homeserver: string, { userId, accessToken }: MatrixUser): Promise<Client> {
    const home = path.join(stage.dir, `rust-${userId.slice(1).replaceAll(":", "-")}-${clients.length}`);
    await mkdir(home, { recursive: true });
    const config = path.join(home, "config.json");
    await writeFile(config, JSON.stringify({ homeserver, user: userId, token: accessToken }));
    const client: Client = new Driver<LookCommands>([program.binary!, config]);
    clients.push(client);
    await client.start();
    return client;
  }

  async function square(owner: MatrixUser, alias: string, version?: string): Promise<string> {
    const roomId = await owner.createRoom({
      preset: "public_chat",
      room_alias_name: alias,
      name: "Square",
      topic: "What one sees from outside",
      ...(version === undefined ? {} : { room_version: version }),
      initial_state: [
        { type: "m.room.history_visibility", state_key: "", content: { history_visibility: "world_readable" } },
      ],
    });
    for (const body of ["one", "two", "three"]) await owner.sendText(roomId, body);
    return roomId;
  }

  const known = async (client: Client, room: string): Promise<Known | null> =>
    JSON.parse(await client.ask("known", { room })) as Known | null;
  const heard = (client: Client, room: string): unknown[] =>
    client.told
      .filter((told) => told.event === "heard" && told.room === room && told.type === "m.room.message")
      .map(({ content }) => content["body"]);
  const untilKnown = (client: Client, room: string, state: Known["state"]): Promise<Known | null> =>
    until(
      `the room as one that the user ${state === "Joined" ? "is in" : "is not in"}`,
      () => known(client, room),
      (found) => found?.state === state,
    );
  const untilHeard = (client: Client, room: string, text: string): Promise<unknown[]> =>
    until(
      `"${text}"`,
      async () => heard(client, room),
      (texts) => texts.includes(text),
    );
  const preview = async (client: Client, room: string, via: readonly string[] = []): Promise<unknown> =>
    JSON.parse(await client.ask("preview", { room, via }));

  it.each(["10", "12"])("previews a remote room of version %s, looks into it, and comes in", async (version) => {
    const roomId = await square(bob, `square-${version}`, version);
    const carol = await stage.user(stage.ours, `carol-${version}`);
    const client = await start(proxy.url, carol);

    const outside = { room: roomId, name: "Square", topic: "What one sees from outside", joined: 1, rule: "public" };
    const seen = { ...outside, peekable: true, state: null };
    expect(await preview(client, `#square-${version}:${stage.theirs.serverName}`)).toEqual(seen);
    expect(await preview(client, roomId, [stage.theirs.serverName])).toEqual(seen);
    expect(await bob.joinedMembers(roomId)).toEqual([bob.userId]);

    await client.ask("subscribe", { room: roomId });
    await untilHeard(client, roomId, "three");
    expect(heard(client, roomId)).toEqual(["one", "two", "three"]);
    expect(await known(client, roomId)).toEqual({
      state: "Left",
      name: "Square",
      topic: "What one sees from outside",
      joined: 1,
      rule: "public",
      created: true,
      members: [bob.userId],
    });
    // A preview of what its user is in would be what the SDK has, without the button that joins.
    expect(await preview(client, roomId)).toEqual({ ...seen, state: "Left" });
    const back = JSON.parse(await client.ask("back", { room: roomId })) as { texts: string[]; members: string[] };
    expect(back.texts.filter((text) => ["one", "two", "three"].includes(text))).toEqual(["three", "two", "one"]);
    expect(back.members).toEqual([bob.userId]);

    await bob.sendText(roomId, "live");
    await untilHeard(client, roomId, "live");
    const renamed = { name: "Circle" };
    await bob.request("PUT", `/_matrix/client/v3/rooms/${roomId}/state/m.room.name/`, {}, renamed);
    await until(
      "the new name",
      () => known(client, roomId),
      (found) => found?.name === "Circle",
    );
    expect(await known(client, roomId)).toMatchObject({ state: "Left", joined: 1 });

    await stage.emissary.end("SIGKILL");
    await bob.sendText(roomId, "meanwhile");
    await stage.emissary.start();
    await untilHeard(client, roomId, "meanwhile");
    expect(heard(client, roomId)).toEqual(["one", "two", "three", "live", "meanwhile"]);
    expect(JSON.stringify(client.told)).not.toContain(`"${stage.pseudouser}"`);

    await client.ask("unsubscribe", { room: roomId });
    await untilLeft(stage, bob, roomId);

    await client.ask("subscribe", { room: roomId });
    await until(
      "the pseudouser in the room",
      () => bob.joinedMembers(roomId),
      (members) => members.includes(stage.pseudouser),
    );
    await client.ask("join", { room: roomId, via: [] });
    await untilKnown(client, roomId, "Joined");
    await bob.sendText(roomId, "welcome");
    await untilHeard(client, roomId, "welcome");
    expect(await known(client, roomId)).toMatchObject({ state: "Joined", joined: 2 });
    await carol.leave(roomId);
    await untilKnown(client, roomId, "Left");
  });

  it("shows a member of a local room on Synapse alone the same, and a stranger nothing", async () => {
    const alice = await stage.user(stage.ours, "alice");
    const roomId = await square(alice, "home");
    const member = await start(stage.ours.url, alice);
    await member.ask("subscribe", { room: roomId });
    await untilHeard(member, roomId, "three");
    expect(await known(member, roomId)).toEqual({
      state: "Joined",
      name: "Square",
      topic: "What one sees from outside",
      joined: 1,
      rule: "public",
      created: true,
      members: [alice.userId],
    });

    const dora = await stage.user(stage.ours, "dora");
    const stranger = await start(stage.ours.url, dora);
    const seen = await preview(stranger, roomId);
    expect(seen).toMatchObject({ room: roomId, name: "Square", joined: 1, peekable: true, state: null });
    await stranger.ask("subscribe", { room: roomId });
    await alice.sendText(roomId, "four");
    await untilHeard(member, roomId, "four");
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(await known(stranger, roomId)).toBeNull();
  });
});

describe.skipIf(missing === null)(`a client on the Rust SDK, which cannot be run here: ${missing}`, () => {
  it.skipIf(process.env["CI"] !== "true")("is left out", () => expect.fail(missing ?? ""));
});
