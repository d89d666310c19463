import type { RoomAlias, RoomId } from "../model/ids.ts";

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
