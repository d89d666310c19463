import { SlidingSync, SlidingSyncEvent, type MSC3575RoomData } from "matrix-js-sdk/lib/sliding-sync.js";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Json, MatrixUser } from "../../homeservers/synapse/client.ts";
import { MatrixUser as Client } from "../../homeservers/synapse/client.ts";
import { sdkClient } from "../support/peek-scenario.ts";
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

const SLIDING = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

it("a room is subscribed to with sliding sync, followed over a kill -9, unsubscribed from and joined", async () => {
  const roomId = await peekable("12");
  await alice.request("GET", `/_matrix/client/v1/room_summary/${roomId}`, { via: stage.theirs.serverName });
  const subscribed = {
    [roomId]: {
      required_state: [
        ["m.room.create", ""],
        ["m.room.member", "$LAZY"],
      ],
      timeline_limit: 4,
    },
  };
  let pos: string | undefined;
  const slide = async (user: MatrixUser, rooms: Json = subscribed, timeout = 20_000): Promise<Json | undefined> => {
    const body = { conn_id: "one", lists: {}, room_subscriptions: rooms };
    const query = { timeout, ...(pos === undefined ? {} : { pos }) };
    const answer = await user.request("POST", SLIDING, query, body);
    expect([answer.status, answer.body["errcode"]]).toEqual([200, undefined]);
    pos = answer.body["pos"] as string;
    return (answer.body["rooms"] as Record<string, Json> | undefined)?.[roomId];
  };
  const textsIn = (room: Json | undefined): unknown[] =>
    ((room?.["timeline"] ?? []) as Json[]).map((event) => (event["content"] as Json)["body"]);

  // The homeserver alone tells nothing of it, whether the pseudouser is there or not.
  const direct = new Client({ homeserverUrl: stage.ours.url, userId: alice.userId, accessToken: alice.accessToken });
  expect(await slide(direct)).toBeUndefined();
  pos = undefined;

  const first = await until(
    "the room",
    () => slide(alice),
    (room) => room !== undefined,
  );
  expect(first).toMatchObject({ initial: true, name: "Square", limited: true, joined_count: 1, num_live: 0 });
  // The fourth is the pseudouser's coming.
  expect(textsIn(first)).toEqual(["old 2", "old 3", "old 4"]);
  const types = (first?.["required_state"] as Json[]).map((event) => event["type"]);
  expect(types.sort()).toEqual(["m.room.create", "m.room.member"]);
  expect(JSON.stringify(first)).not.toContain(`"${stage.pseudouser}"`);
  expect(await slide(direct, subscribed, 0).catch(() => undefined)).toBeUndefined();
  pos = undefined;
  await until(
    "the room again",
    () => slide(alice),
    (room) => room !== undefined,
  );

  const waiting = slide(alice);
  await bob.sendText(roomId, "slid");
  const live =
    (await waiting) ??
    (await until(
      "the message",
      () => slide(alice),
      (room) => room !== undefined,
    ));
  expect([live?.["initial"], textsIn(live), live?.["limited"]]).toEqual([undefined, ["slid"], false]);

  await stage.emissary.end("SIGKILL");
  await bob.sendText(roomId, "meanwhile");
  await stage.emissary.start();
  const after = await until(
    "the next message",
    () => slide(alice),
    (room) => room !== undefined,
  );
  expect([after?.["initial"], textsIn(after)]).toEqual([undefined, ["meanwhile"]]);

  expect(await slide(alice, {}, 0)).toBeUndefined();
  expect(pos).not.toMatch(/^peek1\./);
  await until(
    "the pseudouser out of the room",
    () => bob.joinedMembers(roomId),
    (members) => !members.includes(stage.pseudouser),
  );

  await until(
    "the room once more",
    () => slide(alice),
    (room) => room !== undefined,
  );
  await alice.join(roomId, [stage.theirs.serverName]);
  const joined = await until(
    "the homeserver's own word",
    () => slide(alice),
    (room) => room?.["initial"] === true,
  );
  expect(joined?.["joined_count"]).toBe(2);
  await bob.sendText(roomId, "for a member");
  const told = await until(
    "a message",
    () => slide(alice),
    (room) => textsIn(room).includes("for a member"),
  );
  expect(told?.["initial"]).toBeUndefined();
  expect(pos).not.toMatch(/^peek1\./);
}, 90_000);

it("an unmodified matrix-js-sdk follows a room that it subscribes to with sliding sync", async () => {
  const roomId = await peekable("12");
  const client = await sdkClient(stage.emissary.gatewayUrl, stage);
  await client.getRoomSummary(roomId, [stage.theirs.serverName]);
  const sliding = new SlidingSync(
    stage.emissary.gatewayUrl,
    new Map(),
    { timeline_limit: 10, required_state: [["*", "*"]] },
    client,
    10_000,
  );
  const told: MSC3575RoomData[] = [];
  sliding.on(SlidingSyncEvent.RoomData, (id, data) => {
    if (id === roomId) told.push(data);
  });
  sliding.modifyRoomSubscriptions(new Set([roomId]));
  const running = sliding.start();
  const bodies = (): unknown[] =>
    told.flatMap(({ timeline }) => timeline.map(({ content }) => (content as Json)["body"]));
  try {
    await until(
      "the room",
      async () => bodies(),
      (all) => all.includes("old 4"),
    );
    expect(told[0]).toMatchObject({ initial: true, name: "Square" });
    for (const text of ["one", "two"]) {
      await bob.sendText(roomId, text);
      await until(
        text,
        async () => bodies(),
        (all) => all.includes(text),
      );
    }
    expect(bodies().filter((text) => text === "one" || text === "two")).toEqual(["one", "two"]);
  } finally {
    sliding.stop();
    await running;
  }
}, 60_000);

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
