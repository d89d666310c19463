import type { FastifyReply, FastifyRequest } from "fastify";
import type { BytesHeld } from "../../concurrency/bytes-held.ts";
import type { Clock } from "../../model/clock.ts";
import { EmissaryError } from "../../model/errors.ts";
import type { UserId } from "../../model/ids.ts";
import type { KeyedMutex } from "../../concurrency/keyed-mutex.ts";
import type { JournalFeed } from "../feed/feed.ts";
import type { StandIns } from "../../attendance/stand-ins.ts";
import type { Keeper } from "../../attendance/keeper.ts";
import type { EventOwners } from "../feed/feed.ts";
import type { Journal } from "../../ledger/journal.ts";
import type { Ledger } from "../../ledger/ledger.ts";
import type { LeaseDesk } from "../../attendance/leases/desk.ts";
import type { LeaseStore } from "../../attendance/store/leases.ts";
import type { Openings } from "../../ledger/openings.ts";
import type { Recorder } from "../../ledger/recorder.ts";
import type { Pointers } from "../../policy/pointers.ts";
import type { Routes } from "../../policy/routes.ts";
import type { Tenant } from "../../model/tenant.ts";
import type { Tenants } from "../../policy/tenants.ts";
import { pathForLog } from "../../http/bearer.ts";
import type { Upstream } from "../../http/upstream.ts";
import type { AuditQueue } from "./checks/audit-queue.ts";
import type { Couriers } from "../delivery/couriers.ts";
import type { SqliteMediaStore } from "../store/media.ts";
import type { SqlitePersonaStore } from "../store/personas.ts";
import type { WriteLanes } from "./checks/lane.ts";
import type { TenantRates } from "./checks/rate.ts";
import type { Refusals } from "./checks/refusals.ts";
import type { Repeats } from "./checks/repeats.ts";
import type { SharedAnnotations } from "./events/annotations.ts";
import type { Typists } from "./checks/typists.ts";
import type { HalfMade } from "./rooms/half-made.ts";
import type { TenantSync } from "../sync/sync.ts";

export interface ActParts {
  readonly own: UserId;
  readonly tenants: Tenants;
  readonly desk: LeaseDesk;
  readonly leases: LeaseStore;
  readonly keeper: Pick<Keeper, "untilPresent" | "whileMaking">;
  readonly standIns: Pick<StandIns, "retire">;
  readonly ledger: Ledger;
  readonly journal: Pick<Journal, "bounds" | "read">;
  readonly openings: Pick<Openings, "has">;
  readonly personas: SqlitePersonaStore;
  readonly media: SqliteMediaStore;
  readonly halfMade: Pick<HalfMade, "making">;
  /** Whether a persona's messages carry its name in their text, too (gateway.persona_fallback). */
  readonly personaFallback: boolean;
  readonly clock: Clock;
  readonly aliases: Pick<Pointers, "resolve" | "pointing" | "requireAskable">;
  readonly routes: Pick<Routes, "required">;
  /** Whether the registration reserves an alias for us: tenants make no others. */
  readonly isReservedAlias: (alias: string) => boolean;
  readonly upstream: Upstream;
  readonly recorder: Pick<Recorder, "observe">;
  readonly feed: Pick<JournalFeed, "making">;
  readonly sync: TenantSync;
  /** Memory of buffered answers. */
  readonly held: BytesHeld;
  readonly audit: AuditQueue;
  readonly refusals: Refusals;
  readonly rates: TenantRates;
  readonly lanes: WriteLanes;
  readonly repeats: Repeats;
  readonly annotations: SharedAnnotations;
  readonly typists: Typists;
  readonly couriers: Pick<Couriers, "offer" | "ping">;
  readonly owners: EventOwners;
  /** Serializes changes of the same state. */
  readonly mutex: KeyedMutex<string>;
  readonly count: (outcome: "answered" | "passed" | "refused") => void;
}

/** One request of a tenant, which acts as one of its users. */
export interface Call {
  readonly parts: ActParts;
  readonly tenant: Tenant;
  /** The tenant's sender, or the persona that it masquerades as (spec, AS API, "Identity assertion"). */
  readonly user: UserId;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

export type Caller = Pick<Call, "tenant" | "user">;

export type ActHandler = (call: Call) => Promise<unknown>;

/** One endpoint of the client-server API. */
export interface Endpoint {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** Below each of `under`. */
  readonly path: string;
  /** Defaults to `CLIENT_V3`. */
  readonly under?: readonly string[];
  /** `answered` by Emissary itself, `passed` to the homeserver as the pseudouser, or `refused` with a reason. */
  readonly how: "answered" | "passed" | "refused";
  /** For the reference: what it does here, in a few words. */
  readonly note: string;
  readonly handler: ActHandler;
}

/** An endpoint's method and path. */
type Route = `${Endpoint["method"]} /${string}`;

function endpointOf(how: Endpoint["how"]) {
  return (route: Route, note: string, handler: ActHandler, under?: readonly string[]): Endpoint => {
    const [method, path] = route.split(" ") as [Endpoint["method"], string];
    return { method, path, ...(under && { under }), how, note, handler };
  };
}

export const answered = endpointOf("answered");
export const passed = endpointOf("passed");

/**
 * Makes endpoints that refuse. SDKs see a feature that a homeserver may lack.
 * @param why the reason and the alternative, in a sentence for the tenant's developer and the reference
 */
export function refused(why: string, routes: readonly Route[]): readonly Endpoint[] {
  const refuse: ActHandler = async ({ tenant, request: { method, url } }) => {
    const asked = `${method} ${pathForLog(url)}`;
    throw new EmissaryError("unrecognized", `${asked} is not available to tenants (${tenant.id}): ${why}.`);
  };
  return routes.map((route) => endpointOf("refused")(route, why, refuse));
}
