/** `matrix-emissary/bridge`: a bridge that acts through the pseudouser in some of its rooms. */
import { describe, expect, onTestFinished, test } from "vitest";
import { serverEvents, ServerError, ServerIntent, type Json } from "../../src/bridge/bridge.ts";
import type { FakeRoom } from "../support/fake-homeserver-rooms.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import { eventually, PSEUDOUSER, startService, type Service } from "../support/service-app.ts";

const CREATOR = "@creator:elsewhere.test";
const GHOST = `@irc_alice:${SERVER}`;
const ACTIONS = ["read", "send", "redact", "state", "room-state", "invite", "kick", "ban", "create"];

interface Scene {
  readonly service: Service;
  readonly room: FakeRoom;
  readonly gateway: { readonly url: string; readonly token: string };
  readonly bot: ServerIntent;
  readonly ghost: ServerIntent;
}

async function scene(): Promise<Scene> {
  const service = await startService();
  const room = service.homeserver.makeRoom({ name: "Lounge" });
  const wish = { id: "irc", users: `^@irc_.*:${SERVER}$`, actions: ACTIONS };
  const { body } = await service.admin("POST", "/tenants", wish);
  const { as_token: token } = body["registration"] as { as_token: string };
  const gateway = { url: `http://127.0.0.1:${service.app.ports.gateway}/`, token };
  const bot = new ServerIntent(gateway);
  return { service, room, gateway, bot, ghost: new ServerIntent({ ...gateway, userId: GHOST }) };
}

describe("a bridge's calls for a room, through the server", () => {
  test("join, profile, messages, redaction, state, reads and leaving do what an Intent's do", async () => {
    const { service, room, bot, ghost } = await scene();
    expect(await ghost.join(room.id, ["elsewhere.test"])).toBe(room.id);
    await ghost.ensureProfile("Alice", "mxc://elsewhere.test/alice");
    expect(await ghost.getProfileInfo(GHOST)).toEqual({
      displayname: "Alice",
      avatar_url: "mxc://elsewhere.test/alice",
    });
    await service.untilRoom(room.id, { load: "loaded" });

    const { event_id: eventId } = await ghost.sendText(room.id, "hello");
    expect(await ghost.getEvent(room.id, eventId)).toMatchObject({
      sender: GHOST,
      content: { msgtype: "m.text", body: "hello" },
    });
    expect(room.timeline.at(-1)).toMatchObject({ event_id: eventId, sender: PSEUDOUSER });
    expect(await bot.redactEvent(room.id, eventId, "wrong room")).toHaveProperty("event_id");
    await ghost.sendReadReceipt(room.id, eventId);
    await ghost.sendTyping(room.id, true);
    await bot.sendTyping(room.id, false);

    expect(await bot.getStateEvent(room.id, "m.room.name")).toMatchObject({ name: "Lounge" });
    expect(await bot.getStateEvent(room.id, "org.example.none", "", true)).toBeNull();
    await bot.sendStateEvent(room.id, "org.example.bridge", "", { network: "irc" });
    expect(await bot.getStateEvent(room.id, "org.example.bridge")).toEqual({ network: "irc" });
    await ghost.leave(room.id);
    expect(room.membership(GHOST)).toBeNull();
  });

  test("a send that is repeated with its transaction ID is one event", async () => {
    const { room, ghost } = await scene();
    await ghost.join(room.id);
    const content = { msgtype: "m.text", body: "once" };
    const first = await ghost.sendEvent(room.id, "m.room.message", content, "irc-line-17");
    expect(await ghost.sendEvent(room.id, "m.room.message", content, "irc-line-17")).toEqual(first);
    expect(room.timeline.filter(({ type }) => type === "m.room.message")).toHaveLength(1);
  });

  test("what is refused is thrown with the names that a bridge looks at", async () => {
    const { room, gateway, ghost } = await scene();
    await expect(ghost.sendText(room.id, "too early")).rejects.toMatchObject({
      name: "ServerError",
      errcode: "M_FORBIDDEN",
      statusCode: 403,
    });
    const stranger = new ServerIntent({ ...gateway, token: "wrong" });
    await expect(stranger.join(room.id)).rejects.toBeInstanceOf(ServerError);
    await expect(stranger.join(room.id)).rejects.toMatchObject({ errcode: "M_UNKNOWN_TOKEN" });
  });
});

test("its events come polled, in order, its own with the ghost as sender, and after a stop from where it was", async () => {
  const { service, room, gateway, bot, ghost } = await scene();
  await bot.join(room.id);
  const seen: Json[] = [];
  const poll = (since: string | null) => {
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    let position = since;
    const done = (async () => {
      for await (const { events, next } of serverEvents({ ...gateway, since, signal: stop.signal })) {
        seen.push(...events.filter(({ type }) => type === "m.room.message"));
        position = next;
      }
    })();
    const end = async (): Promise<void> => {
      stop.abort();
      await done;
    };
    return { stop: end, position: () => position };
  };
  const first = poll(null);
  await eventually("a first position", () => first.position());
  service.homeserver.say(room, CREATOR, "one");
  await ghost.sendText(room.id, "two");
  await eventually("two messages", () => seen.length === 2);
  await first.stop();
  service.homeserver.say(room, CREATOR, "three");
  await service.untilDelivered();
  const second = poll(first.position());
  await eventually("the third", () => seen.length === 3);
  await second.stop();
  expect(seen).toMatchObject([
    { sender: CREATOR, room_id: room.id, content: { body: "one" } },
    { sender: GHOST, content: { msgtype: "m.text", body: "two" } },
    { sender: CREATOR, content: { body: "three" } },
  ]);
});
