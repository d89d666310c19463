// @ts-check
/** An appservice on matrix-bot-sdk, as it is released. */
import { readFileSync } from "node:fs";
import { Appservice, LogLevel, LogService, SimpleFsStorageProvider } from "matrix-bot-sdk";
import { parse } from "yaml";
import {
  config,
  editMessage,
  HOST,
  newRoom,
  PIXEL,
  reaction,
  serve,
  stateFile,
  tellOf,
  textMessage,
} from "./protocol.mjs";

LogService.setLevel(LogLevel.ERROR);
LogService.setLogger({ info() {}, warn() {}, debug() {}, trace() {}, error: (...words) => console.error(...words) });

const appservice = new Appservice({
  port: config.port,
  bindAddress: HOST,
  homeserverName: config.server,
  homeserverUrl: config.homeserver,
  storage: new SimpleFsStorageProvider(stateFile("appservice.json")),
  registration: parse(readFileSync(config.registration, "utf8")),
});
appservice.on("room.event", (roomId, event) => {
  tellOf(appservice.isNamespacedUser(event.sender), { ...event, room_id: roomId });
});
await appservice.begin();

/** @param {string | null} userId */
const intentOf = (userId) => (userId === null ? appservice.botIntent : appservice.getIntentForUserId(userId));

serve({
  register: ({ as }) => intentOf(as).ensureRegistered(),
  join: ({ as, room }) => intentOf(as).joinRoom(room),
  // The SDK has no such test.
  check: async () => null,
  profile: async ({ as, name }) => {
    const client = intentOf(as).underlyingClient;
    const avatar = await client.uploadContent(PIXEL, "image/png", "avatar.png");
    await client.setDisplayName(name);
    await client.setAvatarUrl(avatar);
    return avatar;
  },
  send: ({ as, room, text }) => intentOf(as).sendEvent(room, textMessage(text)),
  edit: ({ as, room, event, text }) => intentOf(as).sendEvent(room, editMessage(event, text)),
  react: ({ as, room, event, key }) =>
    intentOf(as).underlyingClient.sendEvent(room, "m.reaction", reaction(event, key)),
  create: ({ as, ...asked }) => intentOf(as).underlyingClient.createRoom(newRoom(asked)),
  alias: ({ as, room, alias }) => intentOf(as).underlyingClient.createRoomAlias(alias, room),
  topic: ({ as, room, text }) =>
    intentOf(as).underlyingClient.sendStateEvent(room, "m.room.topic", "", { topic: text }),
  redact: ({ as, room, event }) => intentOf(as).underlyingClient.redactEvent(room, event),
});
