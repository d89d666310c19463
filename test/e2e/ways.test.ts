/**
 * How people come upon a room of another server, and what stands in the way, on real Synapses: clients ask as they do without Emissary.
 */
import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { MatrixClient } from "matrix-js-sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import { PEEK_SETTINGS, peekableRoom, sdkClient, textsOf } from "../support/peek-scenario.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

const WORLD_READABLE = {
  type: "m.room.history_visibility",
  state_key: "",
  content: { history_visibility: "world_readable" },
};
/** A join through a server that says nothing takes Synapse minutes. */
const SOON_MS = 15_000;

let stage: Stage;
let bob: MatrixUser;
let alice: MatrixClient;
let silent: Server;
/** The name of a server that takes connections and says nothing. */
let mute: string;
const sockets = new Set<Socket>();

beforeAll(async () => {
  silent = createServer((socket) => sockets.add(socket.on("error", () => undefined)));
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  mute = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  stage = await openStage({
    settings: { ...PEEK_SETTINGS, peek: { ...PEEK_SETTINGS.peek, idle: "10m", wait: "8s" } },
    synapse: { room_list_publication_rules: [{ action: "allow" }], allow_public_rooms_over_federation: true },
  });
  bob = await stage.user(stage.theirs, "bob");
  alice = await sdkClient(stage.emissary.gatewayUrl, stage);
});
afterAll(async () => {
  await stage.close();
  for (const socket of sockets) socket.destroy();
  silent.close();
});

interface Told {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly took: number;
}

/** What the gateway answers to Alice. */
async function ask(path: string, method: "GET" | "POST" = "GET"): Promise<Told> {
  const begun = performance.now();
  const answer = await fetch(`${stage.emissary.gatewayUrl}/_matrix/client${path}`, {
    method,
    headers: { authorization: `Bearer ${alice.getAccessToken()}` },
    ...(method === "POST" ? { body: "{}" } : {}),
  });
  const body = (await answer.json()) as Record<string, unknown>;
  return { status: answer.status, body, took: performance.now() - begun };
}

async function shows(roomId: string, texts: readonly string[]): Promise<void> {
  const room = await alice.peekInRoom(roomId, 20);
  alice.stopPeeking();
  // History that took too long for the first answer is there for the next.
  await alice.scrollback(room, 30);
  expect(textsOf(room)).toEqual(texts);
}

const TEXTS = ["one", "two", "three"];

describe("a room of another server is looked into by its ID alone", () => {
  it("from that server's directory, with its card", async () => {
    const roomId = await bob.createRoom({
      preset: "public_chat",
      visibility: "public",
      room_version: "12",
      name: "Listed",
      initial_state: [WORLD_READABLE],
    });
    await bob.sendText(roomId, "hello");
    const { chunk } = await alice.publicRooms({ server: stage.theirs.serverName });
    expect(chunk.map(({ room_id: id }) => id)).toContain(roomId);
    const card = await ask(`/v1/room_summary/${encodeURIComponent(roomId)}`);
    expect([card.status, card.body["name"]]).toEqual([200, "Listed"]);
    await shows(roomId, ["hello"]);
  });

  it("from a space of that server, which is opened by asking for its rooms", async () => {
    const { roomId: child } = await peekableRoom(bob, stage, "12");
    const space = await bob.createRoom({
      preset: "public_chat",
      room_version: "12",
      room_alias_name: "our-space",
      creation_content: { type: "m.space" },
      initial_state: [WORLD_READABLE],
    });
    await bob.sendState(space, "m.space.child", { via: [stage.theirs.serverName] }, child);
    await alice.getRoomIdForAlias(`#our-space:${stage.theirs.serverName}`);
    const { rooms } = await alice.getRoomHierarchy(space, 20, 1, false);
    expect(rooms.map(({ room_id: id }) => id).sort()).toEqual([child, space].sort());
    expect(await bob.joinedMembers(space)).toContain(stage.pseudouser);
    await shows(child, TEXTS);
  });

  it("from a link in a room that is read", async () => {
    const { roomId } = await peekableRoom(bob, stage, "12");
    const { roomId: square, alias } = await peekableRoom(bob, stage, "12");
    const link = `https://matrix.to/#/${roomId}?via=${stage.theirs.serverName}`;
    await bob.sendText(square, link);
    await alice.getRoomIdForAlias(alias);
    await shows(square, [...TEXTS, link]);
    await shows(roomId, TEXTS);
  });

  it("from a link without servers, where the ID names one", async () => {
    const { roomId } = await peekableRoom(bob, stage, "10");
    await shows(roomId, TEXTS);
  });
});

describe("a server that takes connections and says nothing", () => {
  it("delays a look and a join by a second or two, where another leads to the room", async () => {
    const { roomId } = await peekableRoom(bob, stage, "12");
    const via = `via=${encodeURIComponent(mute)}&via=${encodeURIComponent(stage.theirs.serverName)}`;
    const look = await ask(`/v3/rooms/${encodeURIComponent(roomId)}/initialSync?${via}`);
    expect([look.status, look.body["errcode"]]).toEqual([200, undefined]);
    expect(look.took).toBeLessThan(SOON_MS);
    const join = await ask(`/v3/join/${encodeURIComponent(roomId)}?${via}`, "POST");
    expect(join.status).toBe(200);
    expect(join.took).toBeLessThan(SOON_MS);
  });

  it("is named to whoever asks through nobody else, in the time that a look may take, as clients understand it", async () => {
    const { roomId } = await peekableRoom(bob, stage, "12");
    const told = await ask(`/v3/rooms/${encodeURIComponent(roomId)}/initialSync?via=${encodeURIComponent(mute)}`);
    expect([told.status, told.body["errcode"]]).toEqual([403, "M_FORBIDDEN"]);
    expect(told.body["error"]).toContain(mute);
    expect(told.body["error"]).not.toContain("homeserver.url");
    expect(told.took).toBeLessThan(SOON_MS);
  });
});

it("a join that the room's servers refuse is told at once", async () => {
  const { roomId, alias } = await peekableRoom(bob, stage, "12");
  await bob.ban(roomId, stage.pseudouser);
  await alice.getRoomIdForAlias(alias);
  const told = await ask(`/v3/rooms/${encodeURIComponent(roomId)}/initialSync`);
  expect([told.status, told.body["errcode"], told.body["org.matrix.msc1777.reason"]]).toEqual([
    403,
    "M_FORBIDDEN",
    "M_FORBIDDEN",
  ]);
  expect(told.took).toBeLessThan(7_000);
});

it("who was in a room and left is shown what comes, as far as the homeserver shows it", async () => {
  const { roomId, alias } = await peekableRoom(bob, stage, "12");
  const carol = await stage.user(stage.ours, "carol");
  await carol.join(alias);
  await carol.leave(roomId);
  await bob.sendText(roomId, "after that");
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/initialSync`;
  const through = async (target: string): Promise<{ status: number; text: string }> => {
    const url = `${stage.emissary.gatewayUrl}${target}`;
    const answer = await fetch(url, { headers: { authorization: `Bearer ${carol.accessToken}` } });
    return { status: answer.status, text: await answer.text() };
  };
  await carol.request("GET", `/_matrix/client/v3/directory/room/${encodeURIComponent(alias)}`);
  const snapshot = await through(`${path}?via=${encodeURIComponent(stage.theirs.serverName)}`);
  expect(JSON.parse(snapshot.text)).toMatchObject({ membership: "leave" });
  expect(snapshot.text).not.toContain("after that");
  await until(
    "the pseudouser being there",
    () => bob.joinedMembers(roomId),
    (members) => members.includes(stage.pseudouser),
  );
  const { messages } = JSON.parse(snapshot.text) as { messages: { end: string } };
  await bob.sendText(roomId, "live");
  const poll = `/_matrix/client/v3/events?room_id=${encodeURIComponent(roomId)}&timeout=0&from=${messages.end}`;
  await until(
    "what came since",
    () => through(poll),
    ({ text }) => text.includes("live"),
  );
});
