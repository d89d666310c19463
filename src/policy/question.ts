import type { HolderKind } from "../model/lease.ts";
import type { Membership } from "../model/membership.ts";
import type { BudgetKind } from "./budget-subjects.ts";
import type { Shortage } from "./budgets.ts";
import type { CoolDown } from "./cool-downs.ts";
import type { Openness } from "./openness.ts";
import type { MovedAlias, Word } from "./permit.ts";
import type { RuleMatch } from "./rule.ts";

/** What is known of a room before the pseudouser is in it: from the ledger, or looked up over federation (room summary, MSC3266). */
export interface RoomSummary extends Openness {
  readonly joinedMembers: number | null;
  readonly encryption: string | null;
}

export interface Limits {
  /** How many rooms the pseudouser is in at most. */
  readonly maxRooms: number;
  /** How many joined members a room may have for the pseudouser to enter it. */
  readonly maxMembers: number;
  /** How many rooms may be wanted and not yet joined. */
  readonly maxJoinsUnderWay: number;
  /** Room versions that are not joined. */
  readonly refuseVersions: readonly string[];
}

/** How far the question goes: `take` asks before a lease, `join` before the join that it causes, `hold` while the pseudouser is there. */
export type Stage = "take" | "join" | "hold";

export interface Question {
  readonly stage: Stage;
  readonly kind: HolderKind;
  /** For a tenant: what the operator said of this room. Null for other holders. */
  readonly word: Word | null;
  /** The alias that a tenant asked by, where it was granted and points elsewhere now; null else. */
  readonly moved: MovedAlias | null;
  readonly ownMembership: Membership | null;
  /** Null where the homeserver can tell nothing of the room. */
  readonly look: RoomSummary | null;
  /** Whether a user of our server is known to have joined, or to be invited (MSC1777: it vouches for the pseudouser). */
  readonly vouched: boolean;
  /** What rules say of the room, of who made it or invites, of their servers, and of the tenant. */
  readonly matches: readonly RuleMatch[];
  /** Exceptions by an alias that have to do with the room and do not count, each with why, for the operator. */
  readonly notExcepted: readonly string[];
  /** The rules against the servers that may be asked for the room, where these are all that are known and we need one; else empty. */
  readonly deniedRoutes: readonly RuleMatch[];
  /** Whether the room's own access list keeps our server out (`m.room.server_acl`); null where it is not known, as outside. */
  readonly aclDenies: boolean | null;
  readonly coolDown: CoolDown | null;
  /** How many upgrades the lease has come through since it was taken. */
  readonly upgrades: number;
  readonly roomsAttended: number;
  readonly joinsUnderWay: number;
  /** Rooms in which this holder has a lease, and of these how many are wanted and not yet joined; this one left out. */
  readonly held: { readonly rooms: number; readonly underWay: number };
  /** Whose budget is used up; null where none is, or where no join follows. */
  readonly shortage: Shortage<BudgetKind> | null;
  readonly now: number;
  readonly limits: Limits;
}
