import { LogService, MatrixClient, MemoryStorageProvider } from "matrix-bot-sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MatrixUser } from "../../homeservers/synapse/client.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

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
