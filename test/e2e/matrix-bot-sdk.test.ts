import { LogService, MatrixClient, MemoryStorageProvider } from "matrix-bot-sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Json, MatrixUser } from "../../homeservers/synapse/client.ts";
import { openStage, until, type Stage } from "../support/stage.ts";
import { differences, shapeOf, syncAs } from "../support/sync-shape.ts";

let stage: Stage;
let bob: MatrixUser;
let bot: MatrixClient;

beforeAll(async () => {
  LogService.muteModule("MatrixHttpClient");
  stage = await openStage();
  bob = await stage.user(stage.theirs, "bob");
  const { token } = await stage.emissary.addTenant("bot");
  bot = new MatrixClient(stage.emissary.gatewayUrl, token, new MemoryStorageProvider());
});
afterAll(() => stage.close());

describe("an unmodified matrix-bot-sdk client with the gateway as its homeserver", () => {
  it("knows itself by the tenant's sender", async () => {
    expect(await bot.getUserId()).toBe(`@_emissary_bot:${stage.ours.serverName}`);
  });

  it("joins, talks, reads, takes back and leaves, and no user of its own ever is in the room", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat", room_alias_name: "lounge", name: "Lounge" });

    expect(await bot.joinRoom(`#lounge:${stage.theirs.serverName}`)).toBe(roomId);
    expect(await bot.getJoinedRooms()).toEqual([roomId]);
    expect(await bot.getRoomStateEvent(roomId, "m.room.name", "")).toEqual({ name: "Lounge" });
    expect(await bot.getJoinedRoomMembers(roomId)).toContain(bob.userId);

    const eventId = await bot.sendText(roomId, "I am a bot");
    expect((await bob.waitForMessage(roomId, (event) => event.event_id === eventId)).sender).toBe(stage.pseudouser);
    await bot.sendReadReceipt(roomId, eventId);
    await bot.setTyping(roomId, true, 1_000);
    await bot.redactEvent(roomId, eventId, "no I am not");
    await until(
      "the redaction",
      () => bob.event(roomId, eventId),
      (event) => event.content["body"] === undefined,
    );

    await bot.leaveRoom(roomId);
    expect(await bot.getJoinedRooms()).toEqual([]);
    const ofOurServer = (await bob.members(roomId)).map((event) => event.state_key);
    expect(ofOurServer.filter((userId) => userId?.endsWith(stage.ours.serverName))).toEqual([stage.pseudouser]);
  });

  it("is told by name what is not its to ask", async () => {
    await expect(bot.createRoom()).rejects.toMatchObject({ statusCode: 403, body: { errcode: "M_FORBIDDEN" } });
    await expect(bot.getUserDevices([bob.userId])).rejects.toMatchObject({ body: { errcode: "M_UNRECOGNIZED" } });
  });
});

/** What a bot does with `/sync`, and what it is answered, by what it did. `invite` is how others invite it. */
async function syncsOf(user: MatrixUser, invite: Json): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const shapes = new Map<string, ReadonlySet<string>>();
  const roomId = await bob.createRoom({ preset: "public_chat", name: "Lounge", topic: "T" });
  const note = async (what: string, query: Record<string, string | Json> = {}, room = roomId): Promise<Json> => {
    const answer = await syncAs(user, query);
    shapes.set(what, shapeOf(answer, { user: user.userId, roomId: room }));
    return answer;
  };
  const page = async (what: string, query: Record<string, string>): Promise<void> => {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/messages`;
    const { body } = await user.request("GET", path, { limit: 3, ...query });
    const events = body["chunk"] as { type: string; content: Json }[];
    shapes.set(
      what,
      new Set(events.map(({ type, content }, nr) => `${nr} ${type} ${JSON.stringify(content["body"])}`)),
    );
  };
  const says = async (body: string): Promise<void> => {
    const said = await bob.sendText(roomId, body);
    await user.waitForMessage(roomId, (event) => event.event_id === said);
  };
  await user.join(roomId, [stage.theirs.serverName]);
  await says("one");
  let since = tokenIn(await note("begins"));
  await note("has nothing new", { since });
  await bob.sendState(roomId, "m.room.topic", { topic: "U" });
  await says("two");
  since = tokenIn(await note("goes on", { since }));
  const own = await user.sendText(roomId, "mine");
  await user.waitForMessage(roomId, (event) => event.event_id === own);
  // What comes next is to come after it for both servers.
  await bob.waitForMessage(roomId, (event) => event.event_id === own);
  since = tokenIn(await note("has said something", { since }));
  await note("asks for the full state", { since, full_state: "true", timeout: "30000" });
  await bob.sendState(roomId, "m.room.topic", { topic: "V" });
  await says("three");
  await says("four");
  await note("loads members lazily", { since, filter: { room: { state: { lazy_load_members: true } } } });
  const limited = await note("limits its timeline", { since, filter: { room: { timeline: { limit: 1 } } } });
  await page("pages back from the timeline", { dir: "b", from: prevBatchIn(limited, roomId) });
  await page("pages back from where it is", { dir: "b", from: tokenIn(limited) });
  await page("pages on from where it is", { dir: "f", from: tokenIn(limited) });
  await page("pages on from where it was", { dir: "f", from: since });
  await page("pages back to where it was", { dir: "b", from: tokenIn(limited), to: since });
  const lazily = { room: { state: { lazy_load_members: true }, timeline: { limit: 1 } } };
  since = tokenIn(await note("begins with lazy members", { filter: lazily }));
  const closed = await bob.createRoom({ preset: "private_chat", name: "Den" });
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(closed)}/invite`;
  expect((await bob.request("POST", path, {}, invite)).status).toBe(200);
  const isInvited = ({ rooms }: Json): boolean => closed in (((rooms as Json | undefined)?.["invite"] ?? {}) as Json);
  await until("the invite", () => syncAs(user, { since }), isInvited);
  await note("is invited", { since }, closed);
  // Not asked before: Synapse answers a sync from the beginning for two minutes as it did the first time.
  since = tokenIn(await note("begins where it is invited", { filter: { room: { timeline: { limit: 3 } } } }, closed));
  await bob.kick(roomId, String(invite["user_id"]), "out");
  await until(
    "being out",
    () => user.joinedRooms(),
    (rooms) => !rooms.includes(roomId),
  );
  await note("is put out", { since });
  return shapes;
}

function tokenIn(answer: Json): string {
  return answer["next_batch"] as string;
}

function prevBatchIn({ rooms }: Json, roomId: string): string {
  const { join } = rooms as { join: Record<string, { timeline: { prev_batch: string } }> };
  return join[roomId]!.timeline.prev_batch;
}

/** How answers differ on purpose. */
const ON_PURPOSE: readonly (readonly [line: RegExp, why: string])[] = [
  [/^\+ (account_data|device_lists|presence|to_device): object$/, "what is empty is there: some libraries look for it"],
  [
    /^\+ join\.summary\.m\.(joined|invited)_member_count$/,
    "members are counted also for who does not load them lazily",
  ],
  [
    /^- join\.state: events' room_id$/,
    "from version 12 on, Synapse has it in m.room.create; the answer names the room",
  ],
];

describe("/sync", () => {
  it("answers as Synapse answers an ordinary user", async () => {
    const carol = await stage.user(stage.ours, "carol");
    const tenant = await stage.tenant("shape");
    const ours = await syncsOf(tenant, { user_id: stage.pseudouser, reason: "shape" });
    const theirs = await syncsOf(carol, { user_id: carol.userId });
    const found = [...ours].flatMap(([what, shape]) => {
      const lines = differences(shape, theirs.get(what) ?? new Set());
      return lines.filter((line) => !ON_PURPOSE.some(([known]) => known.test(line))).map((line) => `${what}: ${line}`);
    });
    expect(found).toEqual([]);
  }, 60_000);
});
