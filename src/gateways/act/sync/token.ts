import type { Position } from "../../../ledger/openings.ts";
import { EmissaryError } from "../../../model/errors.ts";

/** How far a syncing tenant has come: in the journal, and in what happened to leases. */
export function tokenOf({ opening, seq, change }: Position): string {
  return `e${seq}_${change}_${opening}`;
}

/** @throws EmissaryError `bad-parameter` for a token that is none of ours. */
export function positionOf(token: string): Position {
  const found = /^e(\d{1,15})_(\d{1,15})_([\w-]{1,32})$/.exec(token);
  if (found === null) {
    throw new EmissaryError(
      "bad-parameter",
      `${JSON.stringify(token)} is no sync token of Emissary's: sync without one.`,
    );
  }
  const [, seq, change, opening = ""] = found;
  return { opening, seq: Number(seq), change: Number(change) };
}
