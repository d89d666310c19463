import type { ServerName, TenantId, UserId } from "../model/ids.ts";
import type { Tenant } from "../model/tenant.ts";
import type { Clock } from "../model/clock.ts";
import type { Keeper } from "../attendance/keeper.ts";
import type { Journal } from "../ledger/journal.ts";
import type { Restored } from "../ledger/openings.ts";
import type { History } from "../ledger/retention.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { LeaseDesk } from "../attendance/leases/desk.ts";
import type { LeaseStore } from "../attendance/store/leases.ts";
import type { Delivery } from "../ledger/comparing/delivery.ts";
import type { Aliases } from "../attendance/leases/target.ts";
import type { SummarySource } from "../policy/room-summaries.ts";
import type { Registration } from "../platform/registration.ts";
import type { TenantPinger, Tenants, TenantTokens } from "../policy/tenants.ts";
import type { AuditStore } from "../storage/audit.ts";
import type { AliasOperator } from "../aliases/operator.ts";
import type { Couriers } from "../tenants/delivery/couriers.ts";
import type { OverviewStore } from "./store.ts";
import type { Tally } from "./tally.ts";
import type { GuardParts } from "./guard.ts";

export interface AdminParts {
  readonly token: string;
  /** Names of this machine and of the listener. */
  readonly hosts: readonly string[];
  readonly version: string;
  readonly own: UserId;
  readonly homeserver: { readonly url: string; readonly serverName: ServerName };
  readonly clock: Clock;
  readonly startedAt: number;
  /** Returns why we are not ready; null once we are. */
  readonly notReadyBecause: () => string | null;
  /** A backup that was restored before this start; null if there is none. */
  readonly restored: Restored | null;
  /** Returns when a tenant's sync last began anew, and why; null if it has not since the start. */
  readonly missedBy: (tenant: TenantId) => { readonly at: number; readonly why: string } | null;
  readonly tally: Pick<Tally, "intake" | "lastPing">;
  /** Number of events that were read back because the homeserver lost them. */
  readonly lateEvents: () => number;
  readonly delivery: () => Delivery;
  /** Returns what happens to the pseudouser's invites that are for no tenant. */
  readonly ownInvites: () => "blocked" | "declined" | "kept";
  readonly metricsText: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly ledger: Ledger;
  readonly journal: Journal;
  readonly history: History;
  readonly overview: OverviewStore;
  readonly leases: LeaseStore;
  readonly desk: LeaseDesk;
  readonly keeper: Pick<Keeper, "untilPresent">;
  readonly aliases: Aliases;
  readonly keptAliases: Pick<AliasOperator, "isOn" | "progress" | "page" | "sweepNow" | "repair">;
  readonly looker: SummarySource;
  readonly tenants: Tenants;
  readonly deliveries: Pick<Couriers, "report" | "replay" | "skip">;
  readonly pinger: TenantPinger;
  readonly guard: GuardParts;
  readonly audit: Pick<AuditStore, "newest">;
  readonly backup: (path: string) => Promise<{ readonly bytes: number }>;
  readonly registrationOf: (tenant: Tenant, tokens: TenantTokens) => Registration;
}
