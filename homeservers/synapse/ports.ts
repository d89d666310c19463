/** Free TCP ports on loopback. */
import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import type { Server } from "node:net";

/** Below what systems take for outgoing connections (Linux: 32,768 and above), so none of those takes a port before it is used. */
const [LOWEST, HIGHEST] = [12_000, 32_000];
const TRIES = 100;

/**
 * Picks ports at random. All are held open until all are known, so they differ. Another process may take one before it
 * is used, which is unlikely: whoever binds it then says so, and starting again helps.
 */
export async function freePorts(count: number): Promise<number[]> {
  const held = await Promise.all(Array.from({ length: count }, hold));
  const ports = held.map(portOf);
  await Promise.all(held.map(release));
  return ports;
}

async function hold(): Promise<Server> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await listenOn(randomInt(LOWEST, HIGHEST));
    } catch (error) {
      if (tries === TRIES) throw error;
    }
  }
}

function listenOn(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
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
