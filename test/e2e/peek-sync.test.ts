import { afterAll, beforeAll, expect, it } from "vitest";
import type { Json, MatrixUser } from "../../homeservers/synapse/client.ts";
import { MatrixUser as Client } from "../../homeservers/synapse/client.ts";
import { openStage, type Stage, until } from "../support/stage.ts";

/** MSC2753 by plain HTTP on two real Synapses: what a client that knows it would do. */
const UNSTABLE = "/_matrix/client/unstable/org.matrix.msc2753";

let stage: Stage;
let bob: MatrixUser;
let alice: MatrixUser;
let since: string | undefined;

beforeAll(async () => {
  stage = await openStage();
  bob = await stage.user(stage.theirs, "bob");
  const { userId, accessToken } = await stage.user(stage.ours, "alice");
  alice = new Client({ homeserverUrl: stage.emissary.gatewayUrl, userId, accessToken });
}, 180_000);
afterAll(() => stage.close());

type Rooms = Readonly<
  Record<string, { timeline: { events: Json[]; limited: boolean; prev_batch: string }; state: { events: Json[] } }>
>;

async function sync(timeout = 0, query: Record<string, string> = {}) {
  const { status, body } = await alice.request("GET", "/_matrix/client/v3/sync", {
    timeout,
    ...(since === undefined ? {} : { since }),
    ...query,
  });
  expect([status, body["errcode"]]).toEqual([200, undefined]);
  since = body["next_batch"] as string;
  const rooms = (body["rooms"] ?? {}) as Record<string, Rooms | undefined>;
  return { peek: rooms["peek"] ?? {}, leave: Object.keys(rooms["leave"] ?? {}), join: rooms["join"] ?? {} };
}

const texts = (room: Rooms[string] | undefined): unknown[] =>
  (room?.timeline.events ?? [])
    .filter((event) => event["type"] === "m.room.message")
    .map((event) => (event["content"] as Json)["body"]);

async function peekable(version: string): Promise<string> {
  const roomId = await bob.createRoom({
    preset: "public_chat",
    room_version: version,
    name: "Square",
    initial_state: [
      { type: "m.room.history_visibility", state_key: "", content: { history_visibility: "world_readable" } },
    ],
  });
  for (let n = 0; n < 5; n += 1) await bob.sendText(roomId, `old ${n}`);
  return roomId;
}

async function peek(roomId: string): Promise<void> {
  const body = { servers: [stage.theirs.serverName] };
  const answer = await alice.request("POST", `${UNSTABLE}/peek/${encodeURIComponent(roomId)}`, {}, body);
  expect(answer).toMatchObject({ status: 200, body: { room_id: roomId } });
  expect(Number(answer.body["peek_expiry_ts"])).toBeGreaterThan(Date.now());
}

/** Syncs until a message of the room is told; how often each was told so far. */
async function untilTold(roomId: string, text: string): Promise<unknown[]> {
  const told: unknown[] = [];
  await until(
    `"${text}" in a sync`,
    async () => {
      told.push(...texts((await sync(5_000)).peek[roomId]));
      return told;
    },
    () => told.includes(text),
  );
  return told;
}

it.each(["10", "12"])(
  "a peek into a remote room of version %s is followed in /sync, over a kill -9, until the user joins",
  async (version) => {
    const roomId = await peekable(version);
    await sync();
    await peek(roomId);

    const first = (await sync()).peek[roomId];
    expect(texts(first).slice(-3)).toEqual(["old 2", "old 3", "old 4"]);
    const shown = [...(first?.state.events ?? []), ...(first?.timeline.events ?? [])];
    expect(shown.map(({ type }) => type)).toEqual(expect.arrayContaining(["m.room.create", "m.room.name"]));
    expect(JSON.stringify(first)).not.toContain(`"${stage.pseudouser}"`);

    const waiting = sync(25_000);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const begun = Date.now();
    await bob.sendText(roomId, "live");
    // Alice's other news end a poll, too.
    const told = texts((await waiting).peek[roomId]);
    expect(told.length > 0 ? told : await untilTold(roomId, "live")).toEqual(["live"]);
    expect(Date.now() - begun).toBeLessThan(20_000);

    await stage.emissary.end("SIGKILL");
    await bob.sendText(roomId, "meanwhile");
    await stage.emissary.start();
    expect(await untilTold(roomId, "meanwhile")).toEqual(["meanwhile"]);

    for (let n = 0; n < 6; n += 1) await bob.sendText(roomId, `many ${n}`);
    const limit = { filter: '{"room":{"timeline":{"limit":2}}}' };
    let last: Rooms[string] | undefined;
    await until(
      "the last of many",
      async () => (last = (await sync(5_000, limit)).peek[roomId] ?? last),
      () => texts(last).includes("many 5"),
    );
    if (last?.timeline.limited === true) {
      const [oldest] = texts(last) as string[];
      const page = await alice.request("GET", `/_matrix/client/v3/rooms/${roomId}/messages`, {
        dir: "b",
        from: last.timeline.prev_batch,
        limit: 1,
      });
      const [before] = (page.body["chunk"] as Json[]).map((event) => (event["content"] as Json)["body"]);
      expect(before).toBe(`many ${Number(oldest?.slice(-1)) - 1}`);
    }

    await alice.join(roomId);
    const joined = await until(
      "the join",
      () => sync(5_000),
      ({ join }) => roomId in join,
    );
    expect(joined.peek[roomId]).toBeUndefined();
    await bob.sendText(roomId, "after");
    const after = await until(
      "a message after",
      () => sync(5_000),
      ({ join }) => texts(join[roomId]).includes("after"),
    );
    expect([after.peek, after.leave]).toEqual([{}, []]);
    expect(since).not.toMatch(/^peek1\./);
  },
  90_000,
);

it("a peek ends by unpeek, and when the room is closed to strangers, and both are told once", async () => {
  const [one, two] = [await peekable("11"), await peekable("11")];
  await peek(one);
  await peek(two);
  expect(Object.keys((await sync()).peek).sort()).toEqual([one, two].sort());
  const unpeek = `${UNSTABLE}/rooms/${encodeURIComponent(one)}/unpeek`;
  expect(await alice.request("POST", unpeek, {}, {})).toMatchObject({ status: 200, body: {} });
  expect((await sync()).leave).toEqual([one]);
  expect(await alice.request("POST", unpeek, {}, {})).toMatchObject({ status: 400, body: { errcode: "M_BAD_STATE" } });

  await bob.sendState(two, "m.room.history_visibility", { history_visibility: "joined" });
  await until(
    "the end",
    () => sync(5_000),
    ({ leave }) => leave.includes(two),
  );
  const after = await sync();
  expect([after.leave, after.peek]).toEqual([[], {}]);
  await until(
    "the pseudouser out of both rooms",
    async () => [...(await bob.joinedMembers(one)), ...(await bob.joinedMembers(two))],
    (members) => !members.includes(stage.pseudouser),
  );
}, 90_000);

it("a token that was logged out at the homeserver begins no peek, though it was good a moment ago", async () => {
  const [first, second] = [await peekable("12"), await peekable("12")];
  const { userId, accessToken } = await stage.user(stage.ours, "carol");
  const carol = new Client({ homeserverUrl: stage.emissary.gatewayUrl, userId, accessToken });
  const begin = (roomId: string) =>
    carol.request("POST", `${UNSTABLE}/peek/${encodeURIComponent(roomId)}`, {}, { servers: [stage.theirs.serverName] });
  expect((await begin(first)).status).toBe(200);
  const direct = new Client({ homeserverUrl: stage.ours.url, userId, accessToken });
  expect((await direct.request("POST", "/_matrix/client/v3/logout", {}, {})).status).toBe(200);
  expect(await begin(second)).toMatchObject({ status: 401, body: { errcode: "M_UNKNOWN_TOKEN" } });
  expect(await begin(first)).toMatchObject({ status: 401, body: { errcode: "M_UNKNOWN_TOKEN" } });
});

it("a private room is answered the same, whether the pseudouser is in it or not, or it is not there", async () => {
  const make = () => bob.createRoom({ preset: "private_chat", room_version: "10" });
  const [inside, outside, none] = [await make(), await make(), `!none:${stage.theirs.serverName}`];
  const friend = await stage.tenant("friend");
  const invite = { user_id: stage.pseudouser, reason: "for friend" };
  await bob.request("POST", `/_matrix/client/v3/rooms/${encodeURIComponent(inside)}/invite`, {}, invite);
  await until(
    "the pseudouser in the private room, for somebody else",
    () => friend.request("POST", `/_matrix/client/v3/join/${encodeURIComponent(inside)}`, {}, {}),
    ({ status }) => status === 200,
  );
  expect(await bob.joinedMembers(inside)).toContain(stage.pseudouser);
  const tenant = await stage.tenant("curious");
  const via = { via: stage.theirs.serverName };
  const answers: Json[] = [];
  for (const roomId of [inside, outside, none]) {
    const room = encodeURIComponent(roomId);
    const asked = [
      await tenant.request("POST", `/_matrix/client/v3/join/${room}`, via, {}),
      await tenant.request("GET", `/_matrix/client/v1/room_summary/${room}`, via),
      await tenant.request("GET", `/_matrix/client/v3/directory/list/room/${room}`),
      await tenant.request("GET", `/_matrix/client/v3/rooms/${room}/joined_members`),
      await alice.request("GET", `/_matrix/client/v3/rooms/${room}/initialSync`, via),
      await alice.request("POST", `${UNSTABLE}/peek/${room}`, via, {}),
    ];
    answers.push(JSON.parse(JSON.stringify(asked).replaceAll(roomId, "ROOM")) as Json);
  }
  expect(answers[0]).toEqual(answers[2]);
  expect(answers[1]).toEqual(answers[2]);
}, 60_000);
