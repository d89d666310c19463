// @ts-check
import { Appservice, LogLevel, LogService, MemoryStorageProvider } from "matrix-bot-sdk";
import { AS_TOKEN, counter, freePort, homeserverUrl, HOST, HS_TOKEN, NAMESPACE, ready, SERVER } from "./peer.mjs";

LogService.setLevel(LogLevel.ERROR);
const port = await freePort();
const appservice = new Appservice({
  port,
  bindAddress: HOST,
  homeserverName: SERVER,
  homeserverUrl,
  storage: new MemoryStorageProvider(),
  registration: {
    id: "peer",
    url: `http://${HOST}:${port}`,
    as_token: AS_TOKEN,
    hs_token: HS_TOKEN,
    sender_localpart: "_peer",
    namespaces: { users: [{ exclusive: true, regex: NAMESPACE }], rooms: [], aliases: [] },
  },
});
appservice.on("room.event", () => {
  counter.seen += 1;
});
await appservice.begin();
ready(port);
