import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Most connections before their first request, and most between two requests. Beyond that the oldest is closed. */
const FRESH = 4_096;
const RESTING = 2_048;

/**
 * Bounds a server's connections without a request. A caller that opens thousands pushes out its own; an honest one
 * makes its first request at once and so is not among the oldest.
 */
export function boundConnections(server: Server): void {
  const fresh = new Set<Socket>();
  const resting = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    keep(fresh, socket, FRESH);
    socket.once("close", () => {
      fresh.delete(socket);
      resting.delete(socket);
    });
  });
  server.on("request", ({ socket }: IncomingMessage, response: ServerResponse) => {
    fresh.delete(socket);
    resting.delete(socket);
    response.once("close", () => {
      if (!socket.destroyed) keep(resting, socket, RESTING);
    });
  });
}

function keep(sockets: Set<Socket>, socket: Socket, most: number): void {
  sockets.add(socket);
  if (sockets.size <= most) return;
  for (const oldest of sockets) {
    sockets.delete(oldest);
    oldest.destroy();
    return;
  }
}
