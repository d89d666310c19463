// @ts-check
/**
 * What the peers have in common. They are plain JavaScript, each in a file of its own: Node's stripping of types, and the packages
 * of another peer, would count as their memory.
 */
import { createServer } from "node:http";

export const HOST = "127.0.0.1";
export const SERVER = "ours.example";
export const AS_TOKEN = "as-token-of-a-benchmark";
export const HS_TOKEN = "hs-token-of-a-benchmark";
/** What both SDKs are given besides: a namespace that no event of the benchmark touches. */
export const NAMESPACE = `@_peer_.*:${SERVER}`;

export const [homeserverUrl = "", file = ""] = process.argv.slice(2);

/** What each handler does with an event. */
export const counter = { seen: 0 };

/**
 * Tells the parent that transactions are taken there; the peer ends when the parent goes away.
 * @param {number} port
 */
export function ready(port) {
  process.on("disconnect", () => process.exit());
  process.send?.({ port });
}

/**
 * @param {import("node:http").Server} server
 * @returns {Promise<number>} the port
 */
export async function listening(server) {
  await new Promise((resolve) => server.listen(0, HOST, () => resolve(undefined)));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Neither SDK tells which port it got, so it is given a free one. */
export async function freePort() {
  const server = createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
