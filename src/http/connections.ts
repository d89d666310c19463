import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Most connections before their first request, and most between two requests. Beyond that the oldest is closed. */
const FRESH = 4_096;
const RESTING = 2_048;

/** Bounds connections without a request. An honest caller makes its first at once: it is not among the oldest. */
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
  const [oldest] = sockets;
  if (sockets.size <= most || oldest === undefined) return;
  sockets.delete(oldest);
  oldest.destroy();
}
