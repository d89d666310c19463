import type { AliasRepair, AliasView, SweepProgress } from "../aliases/alias.ts";
import type { Phase } from "../attendance/attendance.ts";
import type { DeliveryReport, Replayed, ReplayFrom, Stuck } from "../tenants/delivery/delivery.ts";
import type { EventId, RoomAlias, RoomId } from "../model/ids.ts";
import type { Lease } from "../model/lease.ts";
import type { Membership } from "../model/membership.ts";
import type { LoadState } from "../model/room.ts";
import type { Tenant } from "../model/tenant.ts";

export interface TenantDeliveries {
  /** Null for a tenant without a URL. */
  report(tenant: Tenant): Promise<DeliveryReport | null>;
  /** Delivers everything since `from` again; null for a tenant without a URL. */
  replay(tenant: Tenant, from: ReplayFrom): Promise<Replayed | null>;
  /** Skips the event at which the tenant is stuck; null if it is stuck at another one or not at all. */
  skip(tenant: Tenant, eventId: EventId): Promise<Stuck | null>;
}

/** One line of the list of rooms: the room and the state of our attendance. */
export interface RoomLine {
  readonly roomId: RoomId;
  readonly name: string | null;
  readonly canonicalAlias: string | null;
  readonly joinRule: string | null;
  readonly historyVisibility: string | null;
  readonly encryption: string | null;
  readonly version: string | null;
  readonly ownMembership: Membership | null;
  readonly joinedMembers: number;
  readonly load: LoadState;
  /** Whether events between two stays of the pseudouser are missing; `open`: fetching them has failed. */
  readonly gap: "none" | "filling" | "open";
  readonly phase: Phase;
  readonly since: number;
  readonly code: string | null;
  readonly reason: string | null;
  readonly leases: readonly Lease[];
}

export interface Totals {
  readonly phases: Readonly<Record<string, number>>;
  readonly leases: Readonly<Record<string, number>>;
  readonly loading: number;
}

export interface RoomOverview {
  /** Returns rooms with present or past attendance, in the order of their IDs, after `after`. */
  lines(after: RoomId | null, limit: number): Promise<readonly RoomLine[]>;
  line(roomId: RoomId): Promise<RoomLine | null>;
  /** Returns the number of servers of the room's joined members. */
  servers(roomId: RoomId): Promise<number>;
  memberCounts(roomId: RoomId): Promise<Readonly<Record<Membership, number>>>;
  totals(): Promise<Totals>;
}

export interface KeptAliases {
  /** False if aliases are not kept (aliases.keep). */
  readonly isOn: boolean;
  readonly progress: SweepProgress;
  /** Returns a page in the order of the aliases. */
  page(after: RoomAlias | null, limit: number): Promise<readonly AliasView[]>;
  /** @throws EmissaryError `bad-state` if aliases are not kept */
  sweepNow(): void;
  /** @throws EmissaryError `bad-state` if the alias no longer needs this repair; why the repair fails */
  repair(alias: RoomAlias, shown: AliasRepair, abort: AbortSignal): Promise<void>;
}
