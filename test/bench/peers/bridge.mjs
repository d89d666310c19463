// @ts-check
import { AppServiceRegistration, Bridge, Logger } from "matrix-appservice-bridge";
import { AS_TOKEN, counter, freePort, homeserverUrl, HOST, HS_TOKEN, NAMESPACE, ready, SERVER } from "./peer.mjs";

Logger.configure({ console: "off" });
const registration = new AppServiceRegistration(null);
registration.setId("peer");
registration.setAppServiceToken(AS_TOKEN);
registration.setHomeserverToken(HS_TOKEN);
registration.setSenderLocalpart("_peer");
registration.addRegexPattern("users", NAMESPACE, true);
const bridge = new Bridge({
  homeserverUrl,
  domain: SERVER,
  registration,
  disableStores: true,
  controller: {
    onEvent: (request) => {
      counter.seen += 1;
      request.resolve(null);
    },
  },
});
const port = await freePort();
await bridge.run(port, undefined, HOST);
ready(port);
