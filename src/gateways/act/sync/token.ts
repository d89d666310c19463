import { EmissaryError } from "../../../model/errors.ts";

/** How far a syncing tenant has come: in the journal, and in what happened to leases. Both only rise, also over restarts. */
export interface SyncPosition {
  readonly seq: number;
  readonly change: number;
}

export function tokenOf({ seq, change }: SyncPosition): string {
  return `e${seq}_${change}`;
}

/** @throws EmissaryError `bad-parameter` for a token that is none of ours. */
export function positionOf(token: string): SyncPosition {
  const found = /^e(\d{1,15})_(\d{1,15})$/.exec(token);
  if (found === null) {
    throw new EmissaryError(
      "bad-parameter",
      `${JSON.stringify(token)} is no sync token of Emissary's: sync without one.`,
    );
  }
  return { seq: Number(found[1]), change: Number(found[2]) };
}
