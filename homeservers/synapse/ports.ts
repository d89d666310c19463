/** Free TCP ports on loopback. */
import { createServer } from "node:net";
import type { Server } from "node:net";

/**
 * All are held open until all are known, so they differ. Another process may take one before it is used: whoever binds
 * it then says so, and starting again helps.
 */
export async function freePorts(count: number): Promise<number[]> {
  const held = await Promise.all(Array.from({ length: count }, hold));
  const ports = held.map(portOf);
  await Promise.all(held.map(release));
  return ports;
}

function hold(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve(server));
  });
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has no TCP address");
  return address.port;
}

function release(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
