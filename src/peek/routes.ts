import type { Handler, Method } from "../http/server.ts";
import { deviceRows } from "./msc2753/endpoints.ts";
import { passedRows, receiptRows } from "./passed.ts";
import type { PeekEndpoint, PeekParts } from "./peek.ts";
import { readRows } from "./reads.ts";
import { roomRows } from "./rooms.ts";
import { screened } from "./screened.ts";

/** All endpoints of the Peek API. The reverse proxy sends these paths here and all others to the homeserver. */
export const PEEK_ENDPOINTS: readonly PeekEndpoint[] = [
  ...readRows,
  ...roomRows,
  ...receiptRows,
  ...deviceRows,
  ...passedRows,
].map(([method, path, under, note, handler]) => ({ method, path, under, note, handler }));

/** Builds the gateway's handlers for users of the homeserver. */
export function peekSurface(parts: PeekParts) {
  const handlers = new Map<string, Partial<Record<Method, Handler>>>();
  for (const endpoint of PEEK_ENDPOINTS) {
    const { method, path, under } = endpoint;
    const handler = screened(endpoint);
    for (const prefix of under) {
      const known = handlers.get(`${prefix}${path}`) ?? {};
      known[method] = (request, reply) => handler(parts, request, reply);
      handlers.set(`${prefix}${path}`, known);
    }
  }
  return { handlers };
}
