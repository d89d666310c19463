import type { FastifyReply, FastifyRequest } from "fastify";
import type { Hidden } from "../masking/masking.ts";
import type { UserId } from "../model/ids.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { RouteHealth } from "../policy/route-health.ts";
import type { Upstream } from "../http/upstream.ts";
import type { SharedPolls } from "./shared/polls.ts";
import type { AskersWords } from "./shared/words.ts";
import type { PeekedRooms, PeekStore } from "./msc2753/contracts.ts";
import type { DeviceSync } from "./msc2753/sync.ts";
import type { Peeker } from "./peeker.ts";
import type { RoutesMemory } from "./routes-memory.ts";
import type { SlidingSync } from "./sliding/sync.ts";
import type { KnownUsers } from "./users.ts";

export interface PeekParts {
  readonly own: UserId;
  readonly upstream: Upstream;
  readonly users: KnownUsers;
  readonly peeker: Peeker;
  readonly routes: RoutesMemory;
  readonly health: Pick<RouteHealth, "passable">;
  readonly devices: DeviceSync;
  readonly polls: SharedPolls;
  readonly words: Pick<AskersWords, "doubtUser">;
  readonly sliding: SlidingSync;
  readonly peeks: Pick<PeekStore, "peeksOf">;
  readonly peekedRooms: Pick<PeekedRooms, "membership">;
  readonly ledger: Pick<Ledger, "room" | "member" | "members">;
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

/** Returns the request's path and query with one path parameter replaced. The rest stays as the client wrote it. */
export function pathWith(request: FastifyRequest, name: string, value: string): string {
  const url = request.raw.url ?? "/";
  const at = url.indexOf("?");
  const [path, query] = at === -1 ? [url, ""] : [url.slice(0, at), url.slice(at)];
  const pattern = (request.routeOptions.url ?? "").split("/");
  const segments = path.split("/");
  segments[pattern.indexOf(`:${name}`)] = encodeURIComponent(value);
  return `${segments.join("/")}${query}`;
}
