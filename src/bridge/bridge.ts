/** `matrix-emissary/bridge`: moves bridges built on matrix-appservice-bridge to the pseudouser room by room. */
export { serverEvents, type ServerEvents, type ServerEventsOptions } from "./events.ts";
export { ServerError, type GatewayOptions, type Json } from "./requests.ts";
export { ServerIntent } from "./server-intent.ts";
