import type { RoomAlias, RoomId } from "../model/ids.ts";

/**
 * How it stands with an alias of our server. `kept`: the pseudouser is in its room; `refused`: it may not be, by policy's or the
 * homeserver's word; `dangling`: no server is in the room any more, so nobody can enter; `unknown`: not yet, or not to be told.
 */
export const ALIAS_STATES = ["kept", "refused", "dangling", "unknown"] as const;
export type AliasState = (typeof ALIAS_STATES)[number];

/** An alias as the newest look at it left it. */
export interface KnownAlias {
  readonly alias: RoomAlias;
  /** Where it points. */
  readonly roomId: RoomId;
  readonly state: AliasState;
  readonly code: string | null;
  /** A clause: why it is not kept. */
  readonly reason: string | null;
  readonly since: number;
  readonly checkedAt: number;
  /** Since when no ordinary user has been in the room; null where one is, or it is not known. */
  readonly emptySince: number | null;
  /** Where a repair under way is pointing it. */
  readonly movingTo: RoomId | null;
}

/** What can be done about an alias through which nobody comes in. */
export type AliasRepair =
  | {
      readonly act: "point";
      readonly roomId: RoomId;
      /** `replaced`: the old room's tombstone names it; `named`: it calls itself by the alias, which any room can. */
      readonly by: "replaced" | "named";
    }
  | { readonly act: "remove" };

/** An alias as the operator is shown it. */
export interface AliasView extends Omit<KnownAlias, "movingTo"> {
  readonly repair: AliasRepair | null;
  /** A sentence. */
  readonly advice: string | null;
}

export interface SweepProgress {
  readonly running: boolean;
  /** When the newest ended; null for none since the start. */
  readonly finishedAt: number | null;
  /** What broke the newest off, as a sentence. */
  readonly failure: string | null;
  readonly nextAt: number | null;
}
