// @ts-check
/** A bridge on matrix-appservice-bridge, as it is released: its ghosts act by their `Intent`s. */
import { Bridge, Logger } from "matrix-appservice-bridge";
import { config, editMessage, HOST, newRoom, PIXEL, reaction, serve, tellOf, textMessage } from "./protocol.mjs";

Logger.configure({ console: "off" });

const bridge = new Bridge({
  homeserverUrl: config.homeserver,
  domain: config.server,
  registration: config.registration,
  disableStores: true,
  controller: {
    // The SDK leaves out what the bridge's own users have done (`suppressEcho`).
    onEvent: (request) => {
      tellOf(false, request.getData());
      request.resolve(null);
    },
  },
});
await bridge.initialise();
await bridge.listen(config.port, HOST);
await bridge.getIntent().ensureRegistered();
const bot = bridge.getBot();
bridge.appService.on("event", (event) => {
  const sender = String(event["sender"]);
  if (bot.isRemoteUser(sender) || sender === bot.getUserId()) tellOf(true, event);
});

/** @param {string | null} userId */
const intentOf = (userId) => bridge.getIntent(userId ?? undefined);

serve({
  register: ({ as }) => intentOf(as).ensureRegistered(),
  join: ({ as, room, via }) => intentOf(as).join(room, via),
  check: ({ room }) => bridge.pingAppserviceRoute(room, 20_000),
  profile: async ({ as, name }) => {
    const avatar = await intentOf(as).uploadContent(PIXEL, { type: "image/png", name: "avatar.png" });
    await intentOf(as).ensureProfile(name, avatar);
    return avatar;
  },
  send: async ({ as, room, text }) => (await intentOf(as).sendMessage(room, textMessage(text))).event_id,
  edit: async ({ as, room, event, text }) => (await intentOf(as).sendMessage(room, editMessage(event, text))).event_id,
  react: async ({ as, room, event, key }) =>
    (await intentOf(as).sendEvent(room, "m.reaction", reaction(event, key))).event_id,
  create: async ({ as, ...asked }) =>
    (await intentOf(as).createRoom({ createAsClient: true, options: newRoom(asked) })).room_id,
  alias: ({ as, room, alias }) => intentOf(as).createAlias(alias, room),
  topic: async ({ as, room, text }) => (await intentOf(as).setRoomTopic(room, text)).event_id,
  redact: ({ as, room, event }) => intentOf(as).matrixClient.redactEvent(room, event),
});
