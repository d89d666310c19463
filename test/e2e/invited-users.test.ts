/**
 * What it buys an invited user that the pseudouser is in the room before the invite is accepted, and what it does not: with real
 * clients and encryption. Rooms are public; who may not be followed there is the inviter whose name begins with `stranger`.
 */
import { type MatrixClient, Preset, Visibility } from "matrix-js-sdk";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import { cryptoClient, devicesTold, readableTexts, UNREADABLE } from "../support/crypto-client.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

/** An inviter over there and an invited user here, each with a device, and each with one more since the invite. */
interface Party {
  readonly name: string;
  readonly version: string;
  readonly isLeased: boolean;
  readonly roomId: string;
  readonly bob: readonly [MatrixClient, MatrixClient];
  readonly alice: readonly [MatrixClient, MatrixClient];
}

/** What came of accepting. */
interface Acceptance {
  readonly failure: string | null;
  /** What each of alice's devices can read of the room then. */
  readonly texts: readonly (readonly string[])[];
  /** How many of bob's devices our server tells alice of. */
  readonly devices: number | null;
}

let stage: Stage;
const clients: MatrixClient[] = [];
/** Taken while the inviter's server runs, and while it is down. */
const up = new Map<string, Acceptance>();
const down = new Map<string, Acceptance>();
const parties = new Map<string, Party>();

const UP = [
  ["12", true],
  ["12", false],
] as const;
const DOWN = [
  ["12", true],
  ["11", true],
  ["12", false],
] as const;

beforeAll(async () => {
  // The SDK tells the console of every message that it cannot decrypt, and here these are many.
  for (const method of ["debug", "info", "log", "warn", "error"] as const) vi.spyOn(console, method).mockReturnValue();
  stage = await openStage({
    watchInvites: true,
    settings: {
      invites: { take_part: true, joins_per_server: "100/1h" },
      policy: { deny_users: ["@stranger*"] },
    },
  });
  const wanted = [...UP.map((of) => ["up", ...of] as const), ...DOWN.map((of) => ["down", ...of] as const)];
  for (const [when, version, isLeased] of wanted) {
    const name = nameOf(when, version, isLeased);
    parties.set(name, await gather(name, version, isLeased));
  }
  for (const [version, isLeased] of UP) await note(up, "up", version, isLeased);
  await stage.theirs.stop();
  for (const [version, isLeased] of DOWN) await note(down, "down", version, isLeased);
  await stage.theirs.restart();
});
afterAll(async () => {
  for (const client of clients) client.stopClient();
  await stage.close();
});

function nameOf(when: string, version: string, isLeased: boolean): string {
  return `${when}-${version}-${isLeased ? "leased" : "alone"}`;
}

function party(when: string, version: string, isLeased: boolean): Party {
  const found = parties.get(nameOf(when, version, isLeased));
  if (found === undefined) throw new Error("no such party");
  return found;
}

async function device(of: Stage["ours"], localpart: string): Promise<MatrixClient> {
  const client = await cryptoClient(of, localpart);
  clients.push(client);
  return client;
}

/** Up to the moment before alice accepts. */
async function gather(name: string, version: string, isLeased: boolean): Promise<Party> {
  const { ours, theirs } = stage;
  const [bobs, alices] = [`${isLeased ? "bob" : "stranger"}-${name}`, `alice-${name}`];
  await Promise.all([theirs.registerUser(bobs), ours.registerUser(alices)]);
  const [bob, alice] = await Promise.all([device(theirs, bobs), device(ours, alices)]);
  const { room_id: roomId } = await bob.createRoom({
    preset: Preset.PublicChat,
    visibility: Visibility.Private,
    room_version: version,
    initial_state: [
      { type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } },
      { type: "m.room.history_visibility", state_key: "", content: { history_visibility: "shared" } },
    ],
  });
  await until(
    "bob's room",
    async () => bob.getRoom(roomId)?.hasEncryptionStateEvent(),
    (known) => known === true,
  );
  await bob.sendTextMessage(roomId, "before the invite");
  await bob.invite(roomId, alice.getSafeUserId());
  const isInvited = async (client: MatrixClient): Promise<unknown> =>
    client.getRoom(roomId)?.getMember(alice.getSafeUserId())?.membership;
  for (const client of [bob, alice])
    await until(
      "the invite",
      () => isInvited(client),
      (is) => is === "invite",
    );
  const members = async (): Promise<string[]> => Object.keys((await bob.getJoinedRoomMembers(roomId)).joined);
  if (isLeased) await until("the pseudouser", members, (joined) => joined.includes(stage.pseudouser));
  await bob.sendTextMessage(roomId, "after the invite");
  const secondAlice = await device(ours, alices);
  const secondBob = await device(theirs, bobs);
  await bob.sendTextMessage(roomId, "after alice's new device");
  await until("bob's new device's room", async () => secondBob.getRoom(roomId) !== null, Boolean);
  await secondBob.sendTextMessage(roomId, "from bob's new device");
  if (!isLeased) expect(await members()).toEqual([bob.getUserId()]);
  return { name, version, isLeased, roomId, bob: [bob, secondBob], alice: [alice, secondAlice] };
}

async function note(into: Map<string, Acceptance>, when: string, version: string, isLeased: boolean): Promise<void> {
  const { name, roomId, bob, alice } = party(when, version, isLeased);
  const begun = performance.now();
  let failure: string | null = null;
  try {
    await alice[0].joinRoom(roomId, { viaServers: [stage.theirs.serverName] });
  } catch (error) {
    failure = String(error);
  }
  const ms = Math.round(performance.now() - begun);
  process.stdout.write(`accepting, ${name}: ${failure === null ? "done" : "failed"} after ${ms} ms\n`);
  const isIn = async (client: MatrixClient): Promise<unknown> => client.getRoom(roomId)?.getMyMembership();
  for (const client of alice) {
    if (failure !== null) break;
    await until(
      "being in the room",
      () => isIn(client),
      (is) => is === "join",
    );
    const room = client.getRoom(roomId);
    if (room !== null) await client.scrollback(room, 30).catch(() => undefined);
  }
  // Keys come by themselves, and maybe after the messages.
  const texts = await until(
    "what can be read",
    () => Promise.all(alice.map((client) => readableTexts(client, roomId))),
    ([first = []]) => failure !== null || first.includes("from bob's new device"),
  );
  into.set(name, { failure, texts, devices: await devicesTold(alice[0], bob[0].getSafeUserId()) });
}

/** Has somebody say something until a device can read it: a client learns of new devices a little after its server. */
async function untilRead(speaker: MatrixClient, reader: MatrixClient, roomId: string, text: string): Promise<void> {
  await until(
    text,
    async () => {
      await speaker.sendTextMessage(roomId, text);
      await new Promise((resolve) => setTimeout(resolve, 500));
      return readableTexts(reader, roomId);
    },
    (texts) => texts.includes(text),
    60_000,
  );
}

describe("with the inviter's server down", () => {
  it.each(["11", "12"])("an invite to a room of version %s is accepted, where the pseudouser is there", (version) => {
    expect(down.get(nameOf("down", version, true))).toMatchObject({ failure: null });
  });

  it("an invite cannot be accepted, where it is not", () => {
    const { failure } = down.get(nameOf("down", "12", false))!;
    expect(failure).toContain("502");
    expect(
      party("down", "12", false)
        .alice[0].getRoom(party("down", "12", false).roomId)
        ?.getMyMembership(),
    ).toBe("invite");
  });

  it("what was said since the pseudouser came is there to read and to decrypt; what was said before it came is not", () => {
    for (const version of ["11", "12"]) {
      const [first] = down.get(nameOf("down", version, true))!.texts;
      expect(first).toEqual(["after the invite", "after alice's new device", "from bob's new device"]);
    }
  });

  it("our server knows the inviter's devices, the new one included, and without the pseudouser none", () => {
    expect(down.get(nameOf("down", "12", true))!.devices).toBe(2);
    expect(down.get(nameOf("down", "12", false))!.devices).toBeNull();
  });

  it("what the invited user then writes is encrypted for all the inviter's devices, and read once their server is back", async () => {
    const { alice, bob, roomId } = party("down", "12", true);
    await alice[0].sendTextMessage(roomId, "while you were away");
    // A server that was down is tried again after minutes, or as soon as it is heard of.
    await untilRead(bob[0], alice[0], roomId, "back again");
    for (const client of bob) {
      await until(
        "alice's message",
        () => readableTexts(client, roomId),
        (texts) => texts.includes("while you were away"),
        60_000,
      );
    }
  });
});

describe("with the inviter's server running", () => {
  it.each([true, false])("an invite is accepted, the pseudouser there: %s", (isLeased) => {
    expect(up.get(nameOf("up", "12", isLeased))).toMatchObject({ failure: null, devices: 2 });
  });

  it("the same is read with the pseudouser and without: the history is fetched from the inviter's server", () => {
    const [leased, alone] = [true, false].map((isLeased) => up.get(nameOf("up", "12", isLeased))!.texts[0]);
    expect(leased).toEqual([UNREADABLE, "after the invite", "after alice's new device", "from bob's new device"]);
    expect(alone).toEqual(leased);
  });

  it.each([true, false])("the pseudouser leaves once the user has joined, if it came: %s", async (isLeased) => {
    const { bob, alice, roomId } = party("up", "12", isLeased);
    const members = async (): Promise<string[]> =>
      Object.keys((await bob[0].getJoinedRoomMembers(roomId)).joined).sort();
    const both = [alice[0].getSafeUserId(), bob[0].getSafeUserId()].sort();
    await until("the members", members, (joined) => joined.join() === both.join());
  });
});

describe("a device that the invited user added before accepting", () => {
  it.each([
    ["up", true],
    ["up", false],
    ["down", true],
  ] as const)(
    "cannot read what the inviter's earlier device said meanwhile, and reads its new device's (%s, pseudouser there: %s)",
    (when, isLeased) => {
      const texts = (when === "up" ? up : down).get(nameOf(when, "12", isLeased))!.texts[1]!;
      expect(texts).toContain("from bob's new device");
      expect(texts).not.toContain("after the invite");
      expect(texts).not.toContain("after alice's new device");
    },
  );

  it.each([
    ["up", true],
    ["up", false],
    ["down", true],
  ] as const)("reads what is said after the user has joined (%s, pseudouser there: %s)", async (when, isLeased) => {
    const { bob, alice, roomId } = party(when, "12", isLeased);
    await untilRead(bob[0], alice[1], roomId, "to all of you");
  });
});

describe("an invite to a private room", () => {
  let bob: MatrixUser;
  let alice: MatrixUser;

  beforeAll(async () => {
    bob = await stage.user(stage.theirs, "bob-private");
    alice = await stage.user(stage.ours, "alice-private");
  });

  it.each(["11", "12"])("of version %s does not bring the pseudouser, unless that is invited, too", async (version) => {
    const closed = await bob.createRoom({ preset: "private_chat", room_version: version });
    await bob.invite(closed, alice.userId);
    const roomId = await bob.createRoom({ preset: "private_chat", room_version: version });
    await bob.invite(roomId, alice.userId);
    await bob.invite(roomId, stage.pseudouser);
    await until(
      "the members",
      () => bob.joinedMembers(roomId),
      (members) => members.includes(stage.pseudouser),
      30_000,
    );
    expect(await bob.joinedMembers(closed)).toEqual([bob.userId]);
    await alice.join(roomId, [stage.theirs.serverName]);
    await until(
      "the members",
      () => bob.joinedMembers(roomId),
      (members) => !members.includes(stage.pseudouser),
    );
  });
});

describe("an invite of the pseudouser alone", () => {
  it("is declined, which the inviter sees with the reason", async () => {
    const bob = await stage.user(stage.theirs, "bob-lure");
    const roomId = await bob.createRoom({ preset: "public_chat" });
    await bob.invite(roomId, stage.pseudouser);
    const own = async () => (await bob.members(roomId)).find((event) => event.state_key === stage.pseudouser)?.content;
    // As long as it may be one of several invites into the room, it is not declined.
    await until("the answer", own, (content) => content?.["membership"] === "leave", 90_000);
    expect((await own())?.["reason"]).toContain("not a person");
  });
});

describe("policy.own_invites: block", () => {
  /** Has the running daemon go by a setting. */
  async function set(setting: string, holds: string): Promise<void> {
    stage.emissary.configure({ policy: { own_invites: setting } });
    process.kill(stage.emissary.pid, "SIGHUP");
    const status = () => stage.emissary.json<{ own_invites: string }>("status");
    await until("the status", status, ({ own_invites: told }) => told === holds);
  }

  it("has the homeserver refuse invites of the pseudouser, until it is set to another", async () => {
    const bob = await stage.user(stage.theirs, "bob-blocked");
    const roomId = await bob.createRoom({ preset: "public_chat" });
    await set("block", "blocked");
    await expect(bob.invite(roomId, stage.pseudouser)).rejects.toMatchObject({ errcode: "M_INVITE_BLOCKED" });
    await set("decline", "declined");
    await until(
      "an invite that comes through",
      async () =>
        bob.invite(roomId, stage.pseudouser).then(
          () => true,
          () => false,
        ),
      (isThrough) => isThrough,
    );
  });
});
