import { createClient, type ICreateClientOpts, type MatrixClient, type Room } from "matrix-js-sdk";
import { expect } from "vitest";
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import { until, type Stage } from "./stage.ts";

/** What a stage for peeking needs: leases that end while a test looks on. */
export const PEEK_SETTINGS = { gateway: { front_door: true }, peek: { idle: "10s" } } as const;
/** How long the pseudouser may take to leave: the longest poll, idle time, linger with jitter, and the homeservers' own time. */
const LEFT_MS = 70_000;

const quiet = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, getChild: () => quiet };
let users = 0;

/** A new user of our server with an unmodified matrix-js-sdk, which has the gateway for its homeserver. */
export async function sdkClient(baseUrl: string, stage: Stage): Promise<MatrixClient> {
  users += 1;
  const { userId, accessToken } = await stage.user(stage.ours, `peeker-${users}`);
  return quietClient({ baseUrl, userId, accessToken });
}

export function quietClient(options: ICreateClientOpts): MatrixClient {
  return createClient({ ...options, logger: quiet });
}

/** A room of the other server that everybody may look into, with a name, an alias and some history. */
export async function peekableRoom(
  bob: MatrixUser,
  stage: Stage,
  version: string,
): Promise<{ readonly roomId: string; readonly alias: string }> {
  users += 1;
  const localpart = `square-${users}`;
  const roomId = await bob.createRoom({
    preset: "public_chat",
    room_version: version,
    room_alias_name: localpart,
    name: "The square",
    initial_state: [
      { type: "m.room.history_visibility", state_key: "", content: { history_visibility: "world_readable" } },
    ],
  });
  for (const body of ["one", "two", "three"]) await bob.sendText(roomId, body);
  return { roomId, alias: `#${localpart}:${stage.theirs.serverName}` };
}

/** The texts of a room's messages, as a client has them. */
export function textsOf(room: Room): unknown[] {
  return room
    .getLiveTimeline()
    .getEvents()
    .filter((event) => event.getType() === "m.room.message")
    .map((event): unknown => event.getContent()["body"]);
}

/**
 * What a client does that looks into a room of another server, from the alias to the join, at any address that leads to the gateway
 * and to our homeserver.
 */
export async function peekScenario(baseUrl: string, stage: Stage, roomVersion: string): Promise<void> {
  const bob = await stage.user(stage.theirs, `bob-${roomVersion}-${(users += 1)}`);
  const { roomId, alias } = await peekableRoom(bob, stage, roomVersion);
  const client = await sdkClient(baseUrl, stage);
  try {
    // Only the alias tells which servers the room is on. The peek names the ID alone.
    expect((await client.getRoomIdForAlias(alias)).room_id).toBe(roomId);
    const room = await client.peekInRoom(roomId, 3);
    expect(room.name).toBe("The square");
    expect(room.getMember(bob.userId)?.membership).toBe("join");
    expect(room.getMember(client.getSafeUserId())).toBeNull();
    // It is there, and the client neither lists nor counts it.
    expect(room.getMember(stage.pseudouser)).toBeNull();
    expect(room.getJoinedMembers().map(({ userId }) => userId)).toEqual([bob.userId]);
    await client.scrollback(room, 30);
    expect(textsOf(room)).toEqual(["one", "two", "three"]);
    expect(await bob.joinedMembers(roomId)).toEqual([stage.pseudouser, bob.userId].sort());

    await liveMessage(bob, room, "four");

    client.stopPeeking();
    // Ends the poll that is under way.
    await bob.sendText(roomId, "five");
    await untilLeft(stage, bob, roomId);
    const joined = await client.joinRoom(roomId);
    expect(joined.roomId).toBe(roomId);
    expect(await bob.joinedMembers(roomId)).toEqual([bob.userId, client.getSafeUserId()].sort());
  } finally {
    client.stopPeeking();
    client.stopClient();
  }
}

/** Says something until the peeking client has it: one whose poll had not begun when it was said does not hear of it. */
export async function liveMessage(bob: MatrixUser, room: Room, text: string): Promise<void> {
  let said = 0;
  await until(
    `${text} while peeking`,
    async () => {
      said += 1;
      await bob.sendText(room.roomId, `${text} (${said})`);
      await new Promise((resolve) => setTimeout(resolve, 400));
      return textsOf(room);
    },
    (texts) => texts.some((body) => String(body).startsWith(text)),
  );
}

export async function untilLeft(stage: Stage, bob: MatrixUser, roomId: string): Promise<void> {
  await until(
    "the pseudouser having left",
    () => bob.joinedMembers(roomId),
    (members) => !members.includes(stage.pseudouser),
    LEFT_MS,
  );
}
