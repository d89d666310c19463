import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import {
  liveMessage,
  PEEK_SETTINGS,
  peekableRoom,
  peekScenario,
  sdkClient,
  textsOf,
} from "../support/peek-scenario.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

let stage: Stage;
let bob: MatrixUser;

beforeAll(async () => {
  stage = await openStage({ settings: PEEK_SETTINGS, synapse: { allow_guest_access: true } });
  bob = await stage.user(stage.theirs, "bob");
});
afterAll(() => stage.close());

describe("a user with an unmodified matrix-js-sdk", () => {
  // At once, since both wait for their leases to end.
  it.concurrent.each(["12", "10"])(
    "looks into a room of version %s on another server with its history, follows it live, leaves no trace, and joins",
    (version) => peekScenario(stage.emissary.gatewayUrl, stage, version),
  );

  it.each(["12", "10"])(
    "joins a room of version %s while looking, without naming a server (element-web #15228)",
    async (version) => {
      const { roomId, alias } = await peekableRoom(bob, stage, version);
      const client = await sdkClient(stage.emissary.gatewayUrl, stage);
      await client.getRoomIdForAlias(alias);
      await client.peekInRoom(roomId);
      expect((await client.joinRoom(roomId)).roomId).toBe(roomId);
      client.stopPeeking();
      await until(
        "the member over there",
        () => bob.joinedMembers(roomId),
        (members) => members.includes(client.getSafeUserId()),
      );
    },
  );
});

describe("a room of another server", () => {
  it("is also looked into where somebody else does, and stays open for whoever stays", async () => {
    const { roomId, alias } = await peekableRoom(bob, stage, "12");
    const first = await sdkClient(stage.emissary.gatewayUrl, stage);
    const second = await sdkClient(stage.emissary.gatewayUrl, stage);
    await first.getRoomIdForAlias(alias);
    const rooms = await Promise.all([first, second].map((client) => client.peekInRoom(roomId)));
    first.stopPeeking();
    await liveMessage(bob, rooms[1]!, "still there");
    second.stopPeeking();
    const ours = (await bob.members(roomId))
      .map((event) => event.state_key)
      .filter((id) => id?.endsWith(stage.ours.serverName));
    expect(ours).toEqual([stage.pseudouser]);
  });

  it("without a name is named by who is in it, and the pseudousers are not", async () => {
    const roomId = await bob.createRoom({
      preset: "public_chat",
      initial_state: [
        { type: "m.room.history_visibility", state_key: "", content: { history_visibility: "world_readable" } },
      ],
    });
    const carol = await stage.user(stage.theirs, "carol");
    await carol.join(roomId);
    const people = [bob.userId, carol.userId].sort();
    const client = await sdkClient(stage.emissary.gatewayUrl, stage);
    const summary = await client.getRoomSummary(roomId, [stage.theirs.serverName]);
    expect(summary.num_joined_members).toBe(2);
    const room = await client.peekInRoom(roomId);
    expect(await bob.joinedMembers(roomId)).toEqual([stage.pseudouser, ...people].sort());
    expect(room.name).toBe("bob and carol");
    expect((await client.getRoomSummary(roomId)).num_joined_members).toBe(2);
    expect(Object.keys((await client.getJoinedRoomMembers(roomId)).joined).sort()).toEqual(people);
    const pseudouser = await client.getStateEvent(roomId, "m.room.member", stage.pseudouser);
    expect(pseudouser["membership"]).toBe("join");
    client.stopPeeking();
  });

  it("shows what was said while everybody might read it, and nothing from before", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat", room_alias_name: "opened" });
    await bob.sendText(roomId, "among ourselves");
    await bob.sendState(roomId, "m.room.history_visibility", { history_visibility: "world_readable" });
    await bob.sendText(roomId, "to everybody");
    const client = await sdkClient(stage.emissary.gatewayUrl, stage);
    await client.getRoomIdForAlias(`#opened:${stage.theirs.serverName}`);
    const room = await client.peekInRoom(roomId, 50);
    await client.scrollback(room, 50);
    expect(textsOf(room)).toEqual(["to everybody"]);
    client.stopPeeking();
  });

  it.each([
    ["shared history", { preset: "public_chat" }],
    [
      "a world-readable history by invitation only",
      {
        preset: "private_chat",
        initial_state: [
          { type: "m.room.history_visibility", state_key: "", content: { history_visibility: "world_readable" } },
        ],
      },
    ],
  ])("is refused with %s, and nobody comes", async (_what, creation) => {
    const localpart = `closed-${creation.preset}`;
    const roomId = await bob.createRoom({ ...creation, room_alias_name: localpart });
    const client = await sdkClient(stage.emissary.gatewayUrl, stage);
    await client.getRoomIdForAlias(`#${localpart}:${stage.theirs.serverName}`);
    await expect(client.peekInRoom(roomId)).rejects.toMatchObject({ httpStatus: 403, errcode: "M_FORBIDDEN" });
    expect((await bob.members(roomId)).map((event) => event.state_key)).toEqual([bob.userId]);
  });

  it("is refused where there is none, and where no server is named", async () => {
    const client = await sdkClient(stage.emissary.gatewayUrl, stage);
    const { roomId } = await peekableRoom(bob, stage, "12");
    for (const id of [`!nowhere:${stage.theirs.serverName}`, roomId]) {
      await expect(client.peekInRoom(id)).rejects.toMatchObject({ httpStatus: 403, errcode: "M_FORBIDDEN" });
    }
    await expect(client.getRoomIdForAlias(`#nowhere:${stage.theirs.serverName}`)).rejects.toMatchObject({
      errcode: "M_NOT_FOUND",
    });
  });

  it("is looked into by a guest, where the homeserver has guests", async () => {
    const { roomId, alias } = await peekableRoom(bob, stage, "12");
    const url = `${stage.emissary.gatewayUrl}/_matrix/client/v3`;
    const registered = await fetch(`${url}/register?kind=guest`, { method: "POST", body: "{}" });
    const { access_token: token } = (await registered.json()) as { access_token: string };
    const headers = { authorization: `Bearer ${token}` };
    await fetch(`${url}/directory/room/${encodeURIComponent(alias)}`, { headers });
    const peeked = await fetch(`${url}/rooms/${encodeURIComponent(roomId)}/initialSync`, { headers });
    expect([peeked.status, ((await peeked.json()) as { room_id: string }).room_id]).toEqual([200, roomId]);
  });

  it("is the homeserver's to refuse to a token that nobody has", async () => {
    const { roomId } = await peekableRoom(bob, stage, "12");
    const ask = async (base: string): Promise<unknown> => {
      const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/initialSync`;
      const answer = await fetch(`${base}${path}`, { headers: { authorization: "Bearer nobodys" } });
      return [answer.status, await answer.json()];
    };
    const answered = await ask(stage.emissary.gatewayUrl);
    expect(answered).toEqual(await ask(stage.ours.url));
    expect(answered).toMatchObject([401, { errcode: "M_UNKNOWN_TOKEN" }]);
  });
});

describe("a room that the pseudouser is in, and whose history is for its members", () => {
  it("shows its members to no user who asks, though Synapse would to an appservice's", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat" });
    const tenant = await stage.tenant("inside");
    await tenant.join(roomId, [stage.theirs.serverName]);
    const alice = await stage.user(stage.ours, "alice");
    await until(
      "the room being known",
      () => stage.askAsPseudouser<{ joined: object }>(`/_matrix/client/v3/rooms/${roomId}/joined_members`),
      ({ joined }) => bob.userId in joined,
    );
    for (const path of ["joined_members", "members", "state", "messages", "initialSync"]) {
      const url = `${stage.emissary.gatewayUrl}/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/${path}`;
      const answer = await fetch(url, { headers: { authorization: `Bearer ${alice.accessToken}` } });
      expect([path, answer.status]).toEqual([path, 403]);
      expect(JSON.stringify(await answer.json())).not.toContain(bob.userId);
    }
  });
});
