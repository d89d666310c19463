import type { RoomAlias, RoomId, ServerName } from "../model/ids.ts";
import type { LeaseEnd } from "../model/lease.ts";

/**
 * State of an alias of our server. `kept`: the pseudouser is in its room; `refused`: policy or the homeserver keeps it
 * out; `dangling`: no server is in the room any more, so nobody can enter; `unknown`: not known yet, or not available.
 */
export const ALIAS_STATES = ["kept", "refused", "dangling", "unknown"] as const;
export type AliasState = (typeof ALIAS_STATES)[number];

/** An alias as of its newest check. */
export interface KnownAlias {
  readonly alias: RoomAlias;
  readonly roomId: RoomId;
  readonly state: AliasState;
  readonly code: string | null;
  /** Why it is not kept, as a clause. */
  readonly reason: string | null;
  readonly since: number;
  readonly checkedAt: number;
  /** Since when no ordinary user has been in the room; null if one is, or if that is not known. */
  readonly emptySince: number | null;
  /** The room to which a repair in progress is moving the alias. */
  readonly movingTo: RoomId | null;
}

/** An alias, and the state of the lease that was taken for it. */
export interface AliasLine {
  readonly known: KnownAlias;
  /** Whether its lease in its room is live. */
  readonly isHeld: boolean;
  readonly isPresent: boolean;
  /** How the newest ended lease ended; null if none did. */
  readonly ended: LeaseEnd | null;
  readonly endedAt: number | null;
  /** The keeper's state of the room. */
  readonly attendance: { readonly code: string | null; readonly reason: string | null };
  /** The room that replaced this one, through all known upgrades. */
  readonly replacement: RoomId | null;
  /** Other rooms with the pseudouser in them whose canonical alias is this one; at most two. */
  readonly named: readonly RoomId[];
}

/** What is known of the room that an alias points to, and of our leases there. */
export interface AliasFacts {
  readonly known: KnownAlias | null;
  readonly held: readonly RoomId[];
  /** How the alias's newest lease in this room ended; null if none did. */
  readonly ended: LeaseEnd | null;
  /** Whether a user other than pseudousers is in the room. Null if not known. */
  readonly hasOrdinary: boolean | null;
  readonly via: readonly ServerName[];
}

/** A repair for an alias that lets nobody in. */
export type AliasRepair =
  | {
      readonly act: "point";
      readonly roomId: RoomId;
      /** `replaced`: the old room's tombstone names the room; `named`: the room calls itself so, as any room can. */
      readonly by: "replaced" | "named";
    }
  | { readonly act: "remove" };

/** An alias as shown to the operator. */
export interface AliasView extends Omit<KnownAlias, "movingTo"> {
  readonly repair: AliasRepair | null;
  /** One sentence. */
  readonly advice: string | null;
}

export interface SweepProgress {
  readonly running: boolean;
  /** When the newest sweep ended; null if none has since the start. */
  readonly finishedAt: number | null;
  /** Why the newest sweep failed, as a sentence. */
  readonly failure: string | null;
  readonly nextAt: number | null;
}
