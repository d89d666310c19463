import type { Position } from "../../ledger/openings.ts";

/** How far a syncing tenant has come: in the journal, and in what happened to leases. */
export function tokenOf({ opening, seq, change }: Position): string {
  return `e${seq}_${change}_${opening}`;
}

/** Null for a token that is none of ours: a bot may have another homeserver's from before it came here. */
export function positionOf(token: string): Position | null {
  const found = /^e(\d{1,15})_(\d{1,15})_([\w-]{1,32})$/.exec(token);
  if (found === null) return null;
  const [, seq, change, opening = ""] = found;
  return { opening, seq: Number(seq), change: Number(change) };
}
