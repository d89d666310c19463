import type { Position } from "../../ledger/openings.ts";

/** Encodes a syncing tenant's position in the journal and among lease changes. */
export function tokenOf({ opening, seq, change }: Position): string {
  return `e${seq}_${change}_${opening}`;
}

/** Null if the token is not ours: a bot may have one of its former homeserver. */
export function positionOf(token: string): Position | null {
  const found = /^e(\d{1,15})_(\d{1,15})_([\w-]{1,32})$/.exec(token);
  if (found === null) return null;
  const [, seq, change, opening = ""] = found;
  return { opening, seq: Number(seq), change: Number(change) };
}
