// @ts-check
/** A plain bot on matrix-bot-sdk, as it is released: it has no ghosts and no listener, and polls `/sync`. */
import { readFileSync } from "node:fs";
import { LogLevel, LogService, MatrixClient, SimpleFsStorageProvider } from "matrix-bot-sdk";
import { parse } from "yaml";
import { config, editMessage, newRoom, PIXEL, reaction, serve, stateFile, tellOf, textMessage } from "./protocol.mjs";

LogService.setLevel(LogLevel.ERROR);
LogService.setLogger({ info() {}, warn() {}, debug() {}, trace() {}, error: (...words) => console.error(...words) });

const { as_token: token } = parse(readFileSync(config.registration, "utf8"));
const client = new MatrixClient(config.homeserver, token, new SimpleFsStorageProvider(stateFile("bot.json")));
const me = await client.getUserId();
client.on("room.event", (roomId, event) => tellOf(event.sender === me, { ...event, room_id: roomId }));
await client.start();

serve({
  join: ({ room }) => client.joinRoom(room),
  // Nobody has to reach it.
  check: async () => null,
  profile: async ({ name }) => {
    const avatar = await client.uploadContent(PIXEL, "image/png", "avatar.png");
    await client.setDisplayName(name);
    await client.setAvatarUrl(avatar);
    return avatar;
  },
  send: ({ room, text }) => client.sendMessage(room, textMessage(text)),
  edit: ({ room, event, text }) => client.sendMessage(room, editMessage(event, text)),
  react: ({ room, event, key }) => client.sendEvent(room, "m.reaction", reaction(event, key)),
  create: (asked) => client.createRoom(newRoom(asked)),
  alias: ({ room, alias }) => client.createRoomAlias(alias, room),
  topic: ({ room, text }) => client.sendStateEvent(room, "m.room.topic", "", { topic: text }),
  redact: ({ room, event }) => client.redactEvent(room, event),
});
