import type { HolderKind } from "../model/lease.ts";
import type { Membership } from "../model/membership.ts";
import type { BudgetKind } from "./budget-subjects.ts";
import type { Shortage } from "./budgets.ts";
import type { CoolDown } from "./cool-down.ts";
import type { Openness } from "./openness.ts";
import type { MovedAlias, Reach } from "./permit.ts";
import type { RuleMatch } from "./rule.ts";

/** What is known of a room before the pseudouser joins: from the ledger, or a summary over federation (MSC3266). */
export interface RoomSummary extends Openness {
  readonly joinedMembers: number | null;
  readonly encryption: string | null;
}

export interface Limits {
  /** Most rooms that the pseudouser may be in. */
  readonly maxRooms: number;
  /** Most joined members of a room that the pseudouser enters. */
  readonly maxMembers: number;
  /** Most rooms that may be wanted and not yet joined. */
  readonly maxJoinsUnderWay: number;
  /** Room versions that are not joined. */
  readonly refuseVersions: readonly string[];
}

/** When the question is asked: `take` before a lease, `join` before its join, `hold` while we are in the room. */
export type Stage = "take" | "join" | "hold";

export interface Question {
  readonly stage: Stage;
  readonly kind: HolderKind;
  /** How the tenant's grants cover the room. Null for other holders. */
  readonly reach: Reach | null;
  /** The alias by which the tenant asks, if it was granted and points elsewhere now; else null. */
  readonly moved: MovedAlias | null;
  readonly ownMembership: Membership | null;
  /** Null if the homeserver can tell nothing of the room. */
  readonly look: RoomSummary | null;
  /** Whether a user of our server is known to be joined or invited (MSC1777: it vouches for the pseudouser). */
  readonly vouched: boolean;
  /** Rules that match the room, its creator, the inviter, their servers, or the tenant. */
  readonly matches: readonly RuleMatch[];
  /** Exceptions by an alias that concern the room and do not count, each with the reason, for the operator. */
  readonly notExcepted: readonly string[];
  /** The rules against the routes, if we need a route and all known ones are denied; else empty. */
  readonly deniedRoutes: readonly RuleMatch[];
  /** Whether the room's access list (`m.room.server_acl`) bans our server; null if not known, as outside the room. */
  readonly aclDenies: boolean | null;
  readonly coolDown: CoolDown | null;
  /** Number of upgrades that the lease has followed. */
  readonly upgrades: number;
  readonly roomsAttended: number;
  readonly joinsUnderWay: number;
  /** Rooms in which this holder has a lease, and how many of them are not yet joined. This room is not counted. */
  readonly held: { readonly rooms: number; readonly underWay: number };
  /** The exhausted budget; null if there is none, or if no join follows. */
  readonly shortage: Shortage<BudgetKind> | null;
  readonly now: number;
  readonly limits: Limits;
}
