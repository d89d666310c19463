import type { FastifyReply, FastifyRequest } from "fastify";
import type { Hidden } from "../masking/masking.ts";
import type { UserId } from "../model/ids.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { RouteHealth } from "../policy/route-health.ts";
import type { PeekedRooms } from "./homeserver/peeked-rooms.ts";
import type { DeviceSync } from "./msc2753/sync.ts";
import type { Peeker } from "./peeker.ts";
import type { RoutesMemory } from "./routes-memory.ts";
import type { PollsParts } from "./shared/rooms.ts";
import type { TokenChecks } from "./shared/token-checks.ts";
import type { SlidingSync } from "./sliding/sync.ts";
import type { PeekStore } from "./store.ts";
import type { PeekUpstream } from "./upstream.ts";
import type { KnownUsers } from "./users.ts";

export interface PeekParts {
  readonly own: UserId;
  readonly upstream: PeekUpstream;
  readonly users: KnownUsers;
  readonly peeker: Peeker;
  readonly routes: RoutesMemory;
  readonly health: RouteHealth;
  readonly devices: DeviceSync;
  readonly polls: PollsParts;
  readonly checks: TokenChecks;
  readonly sliding: SlidingSync;
  readonly peeks: PeekStore;
  readonly peekedRooms: PeekedRooms;
  readonly ledger: Pick<Ledger, "room" | "member">;
  readonly hidden: Hidden;
  readonly count: (outcome: "passed" | "opened" | "refused") => void;
}

export type PeekHandler = (parts: PeekParts, request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;

/** One endpoint of the client-server API, called by a user of the homeserver. */
export interface PeekEndpoint {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** Follows each of `under`. */
  readonly path: string;
  readonly under: readonly string[];
  /** What it does here in a few words, for the reference. */
  readonly note: string;
  readonly handler: PeekHandler;
}

/** An endpoint in a table. */
export type PeekRow = readonly [
  PeekEndpoint["method"],
  path: string,
  under: readonly string[],
  note: string,
  PeekHandler,
];

/** Returns the request's path and query with one path parameter replaced. The rest stays as the client wrote it. */
export function pathWith(request: FastifyRequest, name: string, value: string): string {
  const [path = "", ...query] = (request.raw.url ?? "/").split("?");
  const segments = path.split("/");
  segments[(request.routeOptions.url ?? "").split("/").indexOf(`:${name}`)] = encodeURIComponent(value);
  return [segments.join("/"), ...query].join("?");
}
