/** An unmodified matrix-bot-sdk client makes rooms and keeps media and account data, on a real Synapse. */
import { LogService, MatrixClient, MemoryStorageProvider } from "matrix-bot-sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Json, MatrixUser } from "../../homeservers/synapse/client.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

interface SyncAnswer {
  readonly next_batch: string;
  readonly rooms: {
    readonly join: Record<string, { readonly timeline: { readonly events: { type: string; event_id: string }[] } }>;
  };
}

const TYPE = "m.room.power_levels";

let stage: Stage;
let bob: MatrixUser;
let bot: MatrixClient;
let self: string;

beforeAll(async () => {
  LogService.muteModule("MatrixHttpClient");
  // As some servers have it: a redaction may take along what relates to its event.
  const synapse = { experimental_features: { msc3912_enabled: true } };
  stage = await openStage({ reserve: ["bot_.*", "#bot_.*"], synapse });
  bob = await stage.user(stage.theirs, "bob");
  const { token, sender } = await stage.emissary.addTenant("bot", "--actions", "read,send,redact,create");
  bot = new MatrixClient(stage.emissary.gatewayUrl, token, new MemoryStorageProvider());
  self = sender;
});
afterAll(() => stage.close());

describe("a room that a tenant makes", () => {
  it.each(["11", "12"])("of version %s is private, and the tenant has its maker's power", async (version) => {
    const roomId = await bot.createRoom({
      preset: "private_chat",
      room_version: version,
      name: "Ours",
      invite: [bob.userId, self],
      power_level_content_override: { users: { [self]: 100, [bob.userId]: 50 } },
    });
    expect(await bot.getJoinedRooms()).toContain(roomId);
    await bob.join(roomId, [stage.ours.serverName]);
    await bot.sendStateEvent(roomId, "m.room.topic", "", { topic: "made by a bot" });
    const eventId = await bot.sendText(roomId, "welcome");
    expect((await bob.waitForMessage(roomId, (event) => event.event_id === eventId)).sender).toBe(stage.pseudouser);
    const ofOurs = (await bob.members(roomId)).filter((event) => event.state_key?.endsWith(stage.ours.serverName));
    expect(ofOurs.map((event) => event.state_key)).toEqual([stage.pseudouser]);
  });

  it("is told to the tenant from its first event on", async () => {
    const sync = (since?: string): Promise<SyncAnswer> =>
      bot.doRequest("GET", "/_matrix/client/v3/sync", {
        timeout: 0,
        ...(since === undefined ? {} : { since }),
      }) as Promise<SyncAnswer>;
    const { next_batch: since } = await sync();
    const roomId = await bot.createRoom({ name: "Told", topic: "of all" });
    const last = await bot.sendText(roomId, "and this");
    const told = await until(
      "the room's events",
      async () => (await sync(since)).rooms.join[roomId]?.timeline.events ?? [],
      (events) => events.some(({ event_id: id }) => id === last),
    );
    const types = told.map(({ type }) => type);
    for (const type of ["m.room.create", "m.room.power_levels", "m.room.join_rules", "m.room.name", "m.room.topic"]) {
      expect(types).toContain(type);
    }
  });

  it("has names, which the tenant gives and takes, and is upgraded", async () => {
    const roomId = await bot.createRoom({
      preset: "public_chat",
      room_version: "11",
      room_alias_name: "bot_first",
    });
    const alias = `#bot_second:${stage.ours.serverName}`;
    await bot.createRoomAlias(alias, roomId);
    expect(await bot.resolveRoom(alias)).toBe(roomId);
    await bot.deleteRoomAlias(alias);
    await expect(bot.lookupRoomAlias(alias)).rejects.toMatchObject({ statusCode: 404 });
    const { replacement_room: replacement } = (await bot.doRequest(
      "POST",
      `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/upgrade`,
      null,
      { new_version: "12" },
    )) as { replacement_room: string };
    await bot.sendText(replacement, "here we are");
    await bot.sendStateEvent(replacement, "m.room.topic", "", { topic: "still ours" });
    expect(await bot.getJoinedRooms()).toContain(replacement);
  });
});

it("a name that is not reserved is refused with what the operator can do", async () => {
  const roomId = await bot.createRoom({});
  const refusal = { errcode: "M_EXCLUSIVE", error: expect.stringContaining("--reserve '#…'") as string };
  const alias = `#elsewhere:${stage.ours.serverName}`;
  await expect(bot.createRoomAlias(alias, roomId)).rejects.toMatchObject(refusal);
  await expect(bot.createRoom({ room_alias_name: "elsewhere" })).rejects.toMatchObject(refusal);
});

it("the tenant has the power that somebody gives the pseudouser, and loses it by no oversight", async () => {
  const roomId = await bob.createRoom({ preset: "public_chat", room_version: "11" });
  await bot.joinRoom(roomId, [stage.theirs.serverName]);
  const usersOf = async (): Promise<Json> => {
    const levels = (await bob.state(roomId)).find(({ type }) => type === TYPE);
    return levels?.content["users"] as Json;
  };
  const content = (await bob.state(roomId)).find(({ type }) => type === TYPE)?.content;
  await bob.sendState(roomId, TYPE, { ...content, users: { [bob.userId]: 100, [stage.pseudouser]: 100 } });
  const seen = async (): Promise<Json> => (await bot.getRoomStateEvent(roomId, TYPE, "")) as Json;
  await until("what the bot sees", seen, ({ users }) => (users as Json)[self] === 100);

  const someone = `@someone:${stage.theirs.serverName}`;
  await expect(bot.setUserPowerLevel(someone, roomId, 10)).rejects.toMatchObject({ errcode: "M_FORBIDDEN" });
  const options = ["--room", roomId, "--action", "read,send,room-state"];
  expect(await stage.emissary.run("tenant", "allow", "bot", ...options)).toMatchObject({ exitCode: 0 });
  await bot.setUserPowerLevel(someone, roomId, 10);
  await until("the new level", usersOf, (users) => users[someone] === 10);
  expect(await usersOf()).toEqual({ [bob.userId]: 100, [stage.pseudouser]: 100, [someone]: 10 });
  await bot.sendStateEvent(roomId, TYPE, "", { ...(await seen()), users: { [bob.userId]: 100 } });
  await until("the last levels", usersOf, (users) => users[someone] === undefined);
  expect(await usersOf()).toEqual({ [bob.userId]: 100, [stage.pseudouser]: 100 });
});

describe("who is invited by its own ID", () => {
  const at = (roomId: string, rest: string): string => `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}${rest}`;
  const memberOf = async (roomId: string, userId: string): Promise<Json> =>
    (await bob.members(roomId)).find(({ state_key }) => state_key === userId)?.content ?? {};
  let bridge: MatrixUser;
  let ghost: string;

  beforeAll(async () => {
    const users = `^@bot_.*:${stage.ours.serverName}$`;
    bridge = await stage.tenant("bridge", "--users", users, "--actions", "read,send,invite,ban,redact-others");
    ghost = `@bot_ghost:${stage.ours.serverName}`;
  });

  it.each([
    ["a bot in a private room", "private_chat", false, true],
    ["a bot in a direct chat", "trusted_private_chat", true, true],
    ["a ghost in a direct chat", "trusted_private_chat", true, false],
  ])("%s has the pseudouser let in, and is out again", async (_what, preset, isDirect, isBot) => {
    const user = isBot ? bridge.userId : ghost;
    const before = (await bridge.request("GET", "/_matrix/client/v3/sync")).body["next_batch"] as string;
    const roomId = await bob.createRoom({ preset, is_direct: isDirect, invite: [user] });
    await until(
      "the invite",
      async () => (await bridge.request("GET", "/_matrix/client/v3/sync", { since: before, timeout: 1_000 })).body,
      (body) => JSON.stringify(body["rooms"] ?? {}).includes(roomId),
    );
    const query = { user_id: user };
    const joined = await bridge.request("POST", at(roomId, "/join"), query, {});
    expect([joined.status, joined.body]).toEqual([200, { room_id: roomId }]);
    const sent = await bridge.request("PUT", at(roomId, "/send/m.room.message/1"), query, {
      msgtype: "m.text",
      body: "hi",
    });
    expect(sent.status).toBe(200);
    await bob.waitForMessage(roomId, ({ content }) => String(content["body"]).endsWith("hi"));
    const left = await until(
      "its leaving",
      () => memberOf(roomId, user),
      ({ membership }) => membership === "leave",
    );
    expect(left["reason"]).toContain(stage.pseudouser);
    expect(await bob.joinedMembers(roomId)).toEqual([stage.pseudouser, bob.userId].sort());
    const seen = await bridge.joinedMembers(roomId);
    expect(seen).toEqual([user, bob.userId].sort());
    const state = await bridge.state(roomId);
    expect(state.filter(({ state_key }) => state_key === stage.pseudouser)).toEqual([]);
  });

  it("and cannot let anybody in is out with a word to its inviter", async () => {
    const levels = { invite: 50 };
    const roomId = await bob.createRoom({ preset: "private_chat", power_level_content_override: levels });
    await bob.invite(roomId, bridge.userId);
    const join = () => bridge.request("POST", at(roomId, "/join"), {}, {});
    const refused = await until("the refusal", join, ({ body }) => JSON.stringify(body).includes("as the reason"));
    expect([refused.status, refused.body["errcode"]]).toEqual([403, "M_FORBIDDEN"]);
    const left = await until(
      "its leaving",
      () => memberOf(roomId, bridge.userId),
      ({ membership }) => membership === "leave",
    );
    expect(left["reason"]).toContain(`Invite ${stage.pseudouser} to this room, with the word "bridge" as the reason`);
  });

  it("is asked by state, as others are banned and redacted, with what the content says", async () => {
    const roomId = await bob.createRoom({ preset: "public_chat", room_version: "11" });
    await bridge.join(roomId, [stage.theirs.serverName]);
    const content = (await bob.state(roomId)).find(({ type }) => type === TYPE)?.content;
    await bob.sendState(roomId, TYPE, { ...content, users: { [bob.userId]: 100, [stage.pseudouser]: 50 } });
    const mallory = await stage.user(stage.theirs, "mallory");
    await mallory.join(roomId);
    const said = await mallory.sendText(roomId, "buy this");
    await until(
      "what was said, and the power",
      () => bridge.messages(roomId),
      ({ chunk }) => chunk.some(({ event_id }) => event_id === said) && chunk.some(({ type }) => type === TYPE),
    );
    const redacted = await bridge.request("PUT", at(roomId, `/redact/${encodeURIComponent(said)}/1`), {}, {});
    expect(redacted.status).toBe(200);
    const ban = { membership: "ban", reason: "spam", "org.matrix.msc4293.redact_events": true };
    const path = at(roomId, `/state/m.room.member/${encodeURIComponent(mallory.userId)}`);
    const banned = await bridge.request("PUT", path, {}, ban);
    expect([banned.status, banned.body]).toEqual([200, { event_id: expect.any(String) as unknown }]);
    const invite = { membership: "invite", is_direct: true };
    const carol = `@carol:${stage.theirs.serverName}`;
    const asked = at(roomId, `/state/m.room.member/${encodeURIComponent(carol)}`);
    expect((await bridge.request("PUT", asked, {}, invite)).status).toBe(200);
    await until(
      "the ban over there",
      () => memberOf(roomId, mallory.userId),
      ({ membership }) => membership === "ban",
    );
    expect(await memberOf(roomId, mallory.userId)).toMatchObject(ban);
    expect(
      await until(
        "the invite",
        () => memberOf(roomId, carol),
        ({ membership }) => membership === "invite",
      ),
    ).toMatchObject(invite);
    expect((await bob.event(roomId, said)).content["body"]).toBe(undefined);
    const back = await bridge.event(roomId, banned.body["event_id"] as string);
    expect([back.sender, back.content]).toEqual([bridge.userId, ban]);
  });
});

it("media that a tenant uploads come back whole, under the older path, too", async () => {
  const picture = Buffer.alloc(300_000, "picture");
  const uri = await bot.uploadContent(picture, "image/png", "cat.png");
  expect(uri).toMatch(new RegExp(`^mxc://${stage.ours.serverName}/`));
  const back = await bot.downloadContent(uri);
  expect([back.contentType, picture.equals(back.data)]).toEqual(["image/png", true]);
  const older = await fetch(bot.mxcToHttp(uri), { headers: { authorization: `Bearer ${bot.accessToken}` } });
  expect([older.status, (await older.arrayBuffer()).byteLength]).toEqual([200, picture.length]);
});

it("account data come back, in rooms and elsewhere", async () => {
  await expect(bot.getAccountData("m.direct")).rejects.toMatchObject({ statusCode: 404 });
  await bot.setAccountData("m.direct", { [bob.userId]: ["!room"] });
  const roomId = await bot.createRoom({});
  await bot.setRoomAccountData("com.example", roomId, { a: 1 });
  expect(await bot.getAccountData("m.direct")).toEqual({ [bob.userId]: ["!room"] });
  expect(await bot.getRoomAccountData("com.example", roomId)).toEqual({ a: 1 });
});

it("people cannot take what is reserved, the tenant's users and names", async () => {
  await expect(stage.user(stage.ours, "bot_1")).rejects.toThrow(/exclusive|reserved/i);
  const alice = await stage.user(stage.ours, "alice");
  await expect(alice.createRoom({ room_alias_name: "bot_third" })).rejects.toThrow(/reserved/i);
});

describe("another tenant, in the same room and as the same user at the homeserver,", () => {
  let other: MatrixUser;
  let roomId: string;
  let path: string;
  const refusal = { status: 403, body: { errcode: "M_FORBIDDEN" } };

  beforeAll(async () => {
    other = await stage.tenant("other", "--actions", "read,send,redact,create");
    const levels = { users: { [bob.userId]: 100 }, state_default: 0 };
    roomId = await bob.createRoom({ preset: "public_chat", room_version: "11", power_level_content_override: levels });
    path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}`;
    await bot.joinRoom(roomId, [stage.theirs.serverName]);
    await other.join(roomId, [stage.theirs.serverName]);
    const options = ["--room", roomId, "--action", "read,send,redact,state,room-state"];
    expect(await stage.emissary.run("tenant", "allow", "other", ...options)).toMatchObject({ exitCode: 0 });
  });

  it("does not edit a message by way of state", async () => {
    const theirs = await bot.sendText(roomId, "as it was said");
    await bob.waitForMessage(roomId, (event) => event.event_id === theirs);
    const edit = {
      msgtype: "m.text",
      body: "* forged",
      "m.new_content": { msgtype: "m.text", body: "forged" },
      "m.relates_to": { rel_type: "m.replace", event_id: theirs },
    };
    expect(await other.request("PUT", `${path}/state/m.room.message/k`, {}, edit)).toMatchObject(refusal);
    expect(await other.request("PUT", `${path}/state/m.room.redaction/k`, {}, { redacts: theirs })).toMatchObject(
      refusal,
    );
    await other.sendText(roomId, "after the attempts");
    await bob.waitForMessage(roomId, ({ content }) => content["body"] === "after the attempts");
    const seen = await bob.event(roomId, theirs);
    expect(seen.content["body"]).toBe("as it was said");
    expect(JSON.stringify(seen)).not.toContain("forged");
  });

  it("does not remove what relates to a message of its own together with that", async () => {
    const own = await other.sendText(roomId, "a root");
    await bob.waitForMessage(roomId, (event) => event.event_id === own);
    const answer = { msgtype: "m.text", body: "an answer", "m.relates_to": { rel_type: "m.thread", event_id: own } };
    const theirs = await bot.sendMessage(roomId, answer);
    await bob.waitForMessage(roomId, (event) => event.event_id === theirs);
    const redacted = await other.request(
      "PUT",
      `${path}/redact/${encodeURIComponent(own)}/r`,
      {},
      {
        "org.matrix.msc3912.with_relations": ["*"],
      },
    );
    expect(redacted.status).toBe(200);
    await until(
      "the redaction",
      () => bob.event(roomId, own),
      ({ content }) => content["body"] === undefined,
    );
    // Synapse redacts what relates in the background: what comes after it has come when this has.
    await other.sendText(roomId, "after the redaction");
    await bob.waitForMessage(roomId, ({ content }) => content["body"] === "after the redaction");
    expect((await bob.event(roomId, theirs)).content["body"]).toBe("an answer");
  });

  it("has the homeserver call no server of its choice", async () => {
    const address = { medium: "email", address: "a@b.example", id_server: "127.0.0.1:1", id_access_token: "x" };
    expect(await other.request("POST", "/_matrix/client/v3/createRoom", {}, { invite_3pid: [address] })).toMatchObject(
      refusal,
    );
    const state = { display_name: "x", key_validity_url: "http://127.0.0.1:1", public_key: "x" };
    expect(await other.request("PUT", `${path}/state/m.room.third_party_invite/k`, {}, state)).toMatchObject(refusal);
  });

  it("does not upload to what was reserved for somebody else", async () => {
    const { content_uri: uri } = (await bot.doRequest("POST", "/_matrix/media/v1/create", null, {})) as {
      content_uri: string;
    };
    const target = `/_matrix/media/v3/upload/${uri.slice("mxc://".length)}`;
    expect(await other.request("PUT", target, {}, { forged: true })).toMatchObject(refusal);
    await bot.doRequest("PUT", target, null, "the real one", 60_000, true, "text/plain");
    expect((await bot.downloadContent(uri)).data.toString()).toContain("the real one");
  });
});
