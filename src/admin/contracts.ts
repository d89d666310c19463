import type { AliasRepair, AliasView, SweepProgress } from "../aliases/alias.ts";
import type { Phase } from "../attendance/attendance.ts";
import type { DeliveryReport, Replayed, ReplayFrom, Stuck } from "../tenants/delivery/delivery.ts";
import type { EventId, RoomAlias, RoomId } from "../model/ids.ts";
import type { Lease } from "../model/lease.ts";
import type { Membership } from "../model/membership.ts";
import type { LoadState } from "../model/room.ts";
import type { Tenant } from "../model/tenant.ts";

/** The deliveries to the tenants' own servers. */
export interface TenantDeliveries {
  /** Null for a tenant without a URL. */
  report(tenant: Tenant): Promise<DeliveryReport | null>;
  /** Has the tenant given again what came since; null for one without a URL. */
  replay(tenant: Tenant, from: ReplayFrom): Promise<Replayed | null>;
  /** Goes on past the event that the tenant is stuck at; null where it is stuck at another, or at none. */
  skip(tenant: Tenant, eventId: EventId): Promise<Stuck | null>;
}

/** One line of the list of rooms: what we know of the room, and how our attendance stands. */
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
  /** Whether what was said between two stays of the pseudouser is missing at our homeserver: perhaps, or, having tried, surely. */
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

/** The operator's view over rooms. */
export interface RoomOverview {
  /** Rooms that are or were attended, in the order of their IDs, those after `after`. */
  lines(after: RoomId | null, limit: number): Promise<readonly RoomLine[]>;
  line(roomId: RoomId): Promise<RoomLine | null>;
  /** From how many servers the room's joined members are. */
  servers(roomId: RoomId): Promise<number>;
  memberCounts(roomId: RoomId): Promise<Readonly<Record<Membership, number>>>;
  totals(): Promise<Totals>;
}

/** The aliases of our server, and what can be done about them. */
export interface KeptAliases {
  /** False where they are not kept (aliases.keep). */
  readonly isOn: boolean;
  readonly progress: SweepProgress;
  /** In the order of the aliases. */
  page(after: RoomAlias | null, limit: number): Promise<readonly AliasView[]>;
  /** @throws EmissaryError `bad-state` where they are not kept */
  sweepNow(): void;
  /** @throws EmissaryError `bad-state` where the alias does not need this repair any more; why it cannot be done */
  repair(alias: RoomAlias, shown: AliasRepair, abort: AbortSignal): Promise<void>;
}
