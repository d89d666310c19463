import type { FastifyReply, FastifyRequest } from "fastify";
import type { UserId } from "../../model/ids.ts";
import type { Tenant } from "../../model/tenant.ts";
import type { Keeper } from "../../attendance/keeper.ts";
import type { Ledger } from "../../ledger/ledger.ts";
import type { LeaseDesk, LeaseStore } from "../../leases/desk.ts";
import type { Aliases } from "../../leases/target.ts";
import type { Tenants } from "../../policy/tenants.ts";
import type { Upstream } from "../../platform/http/upstream.ts";
import type { AuditQueue } from "./audit-queue.ts";

/** What the Act API is built of. */
export interface ActParts {
  readonly own: UserId;
  readonly tenants: Tenants;
  readonly desk: LeaseDesk;
  readonly leases: LeaseStore;
  readonly keeper: Pick<Keeper, "untilPresent">;
  readonly ledger: Ledger;
  readonly aliases: Aliases;
  readonly upstream: Upstream;
  readonly audit: AuditQueue;
  readonly count: (outcome: "answered" | "passed" | "refused") => void;
  /** Pass requests that are no tenant's on to the homeserver, as whoever asks. */
  readonly frontDoor: boolean;
}

/** One endpoint of the client-server API, asked by a tenant. */
export type ActHandler = (
  parts: ActParts,
  tenant: Tenant,
  request: FastifyRequest,
  reply: FastifyReply,
) => Promise<unknown>;

export interface Endpoint {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** Below `/_matrix/client/v3`. */
  readonly path: string;
  /** `answered` by Emissary itself, or `passed` to the homeserver as the pseudouser. */
  readonly how: "answered" | "passed";
  /** For the reference: what it does here, in a few words. */
  readonly note: string;
  readonly handler: ActHandler;
}
