/**
 * Software that none of us wrote, as it is released, with the gateway as its homeserver. What it does is judged from outside: by
 * bob, who is on a server that knows nothing of Emissary, and by what it tells of what it was sent.
 */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Json, MatrixUser } from "../../homeservers/synapse/client.ts";
import { freePorts } from "../../homeservers/synapse/ports.ts";
import {
  findCompared,
  registerControls,
  reservedFor,
  runAtEmissary,
  runAtSynapse,
  type Compared,
} from "../interop/beside.ts";
import { differencesOf, expected, idle, shared } from "../interop/differences.ts";
import { Driver, type Told } from "../interop/driver.ts";
import { findSoftware, type Software } from "../interop/software.ts";
import { LINGER_MS, openStage, until, type Stage } from "../support/stage.ts";

const SENT = new Set(["m.room.message", "m.reaction", "m.room.redaction"]);
const { here, missing } = await findSoftware();

const compared = await findCompared(here);

let stage: Stage;
let bob: MatrixUser;
let controls: Awaited<ReturnType<typeof registerControls>>;

beforeAll(async () => {
  stage = await openStage({
    // The records say nothing of what the operator has the pseudouser called.
    settings: { pseudouser: { displayname: null }, attendance: { linger: `${LINGER_MS}ms`, join_reason: null } },
    reserve: [
      ...here.flatMap(({ id }) => [`_${id}_.*`, `#_${id}_.*`]),
      ...compared.here.flatMap((program) => reservedFor(program)),
    ],
    control: async ({ serverName, dir }) => {
      controls = await registerControls(path.join(dir, "control"), compared.here, serverName);
      return [...controls.values()].map(({ registration }) => registration);
    },
  });
  bob = await stage.user(stage.theirs, "bob");
});
afterAll(() => stage.close());

/** Adds it as a tenant, and makes what its operator would write for it. */
async function setUp({ id, kind, command }: Software): Promise<Driver> {
  const [port = 0] = await freePorts(1);
  const home = path.join(stage.dir, id);
  await mkdir(home);
  const registration = path.join(home, "registration.yaml");
  const address = ["--url", `http://127.0.0.1:${port}`, "--users", `@_${id}_.*:${stage.ours.serverName}`];
  const options = ["--out", registration, "--actions", "read,send,redact,create", ...(kind === "bot" ? [] : address)];
  const added = await stage.emissary.run("tenant", "add", id, ...options);
  expect(added).toMatchObject({ exitCode: 0 });
  const config = path.join(home, "driver.json");
  const { gatewayUrl: homeserver } = stage.emissary;
  const server = stage.ours.serverName;
  await writeFile(config, JSON.stringify({ homeserver, server, registration, port, state: home }));
  return new Driver([...command, config]);
}

describe.each(here)("$name", (software) => {
  const isBot = software.kind === "bot";
  const ghost = (name: string): string | null => (isBot ? null : `@_${software.id}_${name}:${stage.ours.serverName}`);
  const author = (name: string): string => ghost(name) ?? `@_emissary_${software.id}:${stage.ours.serverName}`;
  /** A persona's name is before its text for those who know nothing of profiles; a plain bot speaks as the server itself. */
  const shown = (name: string, text: string): string => (isBot ? text : `${name}: ${text}`);

  let driver: Driver;
  let roomId: string;
  let avatars: { readonly anna: string; readonly ben: string };
  let events: { hello: string; slip: string; edit: string; reaction: string; redaction: string };

  beforeAll(async () => {
    driver = await setUp(software);
  });
  afterAll(async () => driver.kill());

  /** What it was told of messages, reactions and redactions, in order. */
  const told = (event: Told["event"]): readonly Told[] =>
    driver.told.filter((one) => one.event === event && SENT.has(one.type));
  const heard = (): unknown[] => told("heard").map(({ content }) => content["body"]);

  it("starts, and registers its ghosts", async () => {
    await driver.start();
    if (isBot) return;
    await driver.ask("register", { as: ghost("anna") });
    await driver.ask("register", { as: ghost("ben") });
  });

  it("joins a room of the other server by its alias, where only the pseudouser comes in", async () => {
    const name = `lounge-${software.id}`;
    roomId = await bob.createRoom({ preset: "public_chat", room_alias_name: name });
    const join = { room: `#${name}:${stage.theirs.serverName}`, via: [stage.theirs.serverName] };
    expect(await driver.ask("join", { as: null, ...join })).toBe(roomId);
    expect(await bob.joinedMembers(roomId)).toEqual([stage.pseudouser, bob.userId].sort());
    await driver.ask("check", { room: roomId });
  });

  it("gives two ghosts a name and an avatar, and speaks as both: bob sees which of them it was", async () => {
    avatars = {
      anna: await driver.ask("profile", { as: ghost("anna"), name: "Anna" }),
      ben: await driver.ask("profile", { as: ghost("ben"), name: "Ben" }),
    };
    const hello = await driver.ask("send", { as: ghost("anna"), room: roomId, text: "hello" });
    const slip = await driver.ask("send", { as: ghost("ben"), room: roomId, text: "a slip" });
    await bob.waitForMessage(roomId, (event) => event.event_id === slip);

    const as = (name: "anna" | "ben", displayname: string): Json =>
      isBot ? {} : { "com.beeper.per_message_profile": profile(author(name), displayname, avatars[name]) };
    expect(await bob.event(roomId, hello)).toMatchObject({
      sender: stage.pseudouser,
      content: { body: shown("Anna", "hello"), "org.matrix.msc1777.on_behalf_of": software.id, ...as("anna", "Anna") },
    });
    expect(await bob.event(roomId, slip)).toMatchObject({
      sender: stage.pseudouser,
      content: { body: shown("Ben", "a slip"), "org.matrix.msc1777.on_behalf_of": software.id, ...as("ben", "Ben") },
    });
    events = { hello, slip, edit: "", reaction: "", redaction: "" };
  });

  it("edits, reacts and redacts, and bob's server takes each for what it is", async () => {
    const { hello, slip } = events;
    events.edit = await driver.ask("edit", { as: ghost("anna"), room: roomId, event: hello, text: "good day" });
    events.reaction = await driver.ask("react", { as: ghost("ben"), room: roomId, event: hello, key: "👍" });
    events.redaction = await driver.ask("redact", { as: ghost("ben"), room: roomId, event: slip });
    await bob.waitForMessage(roomId, (event) => event.event_id === events.redaction);

    const edited = await bob.event(roomId, hello);
    expect(edited.unsigned).toMatchObject({ "m.relations": { "m.replace": { event_id: events.edit } } });
    expect((await bob.event(roomId, events.edit)).content).toMatchObject({
      "m.new_content": { body: shown("Anna", "good day") },
    });
    const reaction = await bob.event(roomId, events.reaction);
    expect(reaction.content["m.relates_to"]).toEqual({ rel_type: "m.annotation", event_id: hello, key: "👍" });
    expect((await bob.event(roomId, slip)).content).toEqual({});
  });

  it("hears bob, and recognises everything that it did itself", async () => {
    await bob.sendText(roomId, "who is there?");
    await until(
      "what it heard",
      async () => heard(),
      (bodies) => bodies.length > 0,
    );

    expect(heard()).toEqual(["who is there?"]);
    expect(told("echo").map(({ id, sender }) => [id, sender])).toEqual([
      [events.hello, author("anna")],
      [events.slip, author("ben")],
      [events.edit, author("anna")],
      [events.reaction, author("ben")],
      [events.redaction, author("ben")],
    ]);
    expect(told("echo")[0]?.content).toEqual({ msgtype: "m.text", body: "hello" });
  });

  it.each([
    ["version 10", "10"],
    ["the newest version", null],
  ])("makes a room of %s, in which it, and a ghost that it lets, may do more", async (_which, version) => {
    const name = `_${software.id}_v${version ?? "default"}`;
    const aliases = [name, `${name}_too`].map((localpart) => `#${localpart}:${stage.ours.serverName}`);
    const self = `@_emissary_${software.id}:${stage.ours.serverName}`;
    // Where makers have no level, naming the maker is an error.
    const levels = { ...(version === null ? {} : { [self]: 100 }), ...(isBot ? {} : { [author("anna")]: 50 }) };
    const made = await driver.ask("create", { as: null, name, version, levels });
    await driver.ask("alias", { as: null, room: made, alias: aliases[1] ?? "" });
    await driver.ask("topic", { as: null, room: made, text: "the bot's" });
    for (const alias of aliases) expect(await bob.join(alias, [stage.ours.serverName])).toBe(made);
    await driver.ask("topic", { as: ghost("anna"), room: made, text: "Anna's" });

    const topic = async (): Promise<unknown> =>
      (await bob.state(made)).find(({ type }) => type === "m.room.topic")?.content["topic"];
    await until("the topic", topic, (text) => text === "Anna's");
    const { users } = (await bob.state(made)).find(({ type }) => type === "m.room.power_levels")?.content as Json;
    expect(users).toEqual(version === null ? {} : { [stage.pseudouser]: 100 });
    expect(await bob.joinedMembers(made)).toEqual([stage.pseudouser, bob.userId].sort());
  });

  it("misses nothing of what was said while it was down, and Emissary after it, and goes on where it was", async () => {
    await driver.kill();
    await bob.sendText(roomId, "gone?");
    await stage.emissary.end("SIGKILL");
    await bob.sendText(roomId, "all of you?");
    await stage.emissary.start();
    await driver.start();
    await until(
      "what it heard",
      async () => heard(),
      (bodies) => bodies.includes("all of you?"),
    );
    // What it was told just before it was killed it may not have acknowledged, and is told again.
    expect([...new Set(heard())]).toEqual(["who is there?", "gone?", "all of you?"]);

    const late = await driver.ask("edit", { as: ghost("anna"), room: roomId, event: events.hello, text: "back" });
    await bob.waitForMessage(roomId, (event) => event.event_id === late);
    const edited = await bob.event(roomId, events.hello);
    expect(edited.unsigned).toMatchObject({ "m.relations": { "m.replace": { event_id: late } } });
  });

  it("has said each thing once, and none of its ghosts ever was in the room", async () => {
    const { chunk } = await bob.messages(roomId, "f");
    const ofUs = chunk.filter(({ type, sender }) => SENT.has(type) && sender === stage.pseudouser);
    expect(ofUs.map(({ event_id }) => event_id)).toEqual([...Object.values(events), expect.any(String)]);
    const others = (await bob.members(roomId)).filter(({ state_key }) => state_key !== bob.userId);
    expect(others.map(({ state_key }) => state_key)).toEqual([stage.pseudouser]);
  });
});

/** Both runs at once: most of either is waiting for what other people do. */
describe.each(compared.here)("$name, as people see it", (program: Compared) => {
  it("is what it is with a Synapse in our place, but for what differs on purpose", async () => {
    const [synapse, emissary] = await Promise.all([
      runAtSynapse(stage, program, controls),
      runAtEmissary(stage, program),
    ]);
    const rows = differencesOf(program.program);
    expect(shared(emissary, rows)).toEqual(expected(synapse, rows));
    expect(idle(program.program, synapse, emissary)).toEqual([]);
  });
});

describe.each(missing)("$name, which cannot be run here: $why", () => {
  it.skip("is left out", () => undefined);
});

describe.each(compared.missing)("$name, which cannot be run here: $why", ({ name, why }) => {
  it.skipIf(process.env["CI"] !== "true")("is left out", () => {
    throw new Error(`${name} cannot be run here: ${why}`);
  });
});

function profile(id: string, displayname: string, avatar: string): Json {
  return { id, displayname, avatar_url: avatar, has_fallback: true };
}
