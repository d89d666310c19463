import type { FeedPiece } from "../feed/feed.ts";
import { written, type JsonObject } from "../../model/json.ts";
import type { Place } from "./contracts.ts";

export interface Transaction {
  readonly txnId: string;
  readonly body: string;
  /** The number of its first event. */
  readonly first: number;
}

/**
 * Makes the transaction of these events; null for none. The same events always make the same one. Numbers repeat after
 * a restore and pieces may differ after a replay: the opening and the epoch tell them apart.
 */
export function transactionOf(
  { opening, epoch }: Pick<Place, "opening" | "epoch">,
  events: FeedPiece["events"],
): Transaction | null {
  const [first] = events;
  const last = events.at(-1);
  if (first === undefined || last === undefined) return null;
  return {
    txnId: `${opening}.${epoch}.${first.seq}-${last.seq}`,
    body: written({ events: events.map(({ event }) => event) }),
    first: first.seq,
  };
}

/** Has the events under the stable name (spec v1.13) and the one that today's SDKs read (MSC2409). */
export function ephemeralBody(events: readonly JsonObject[]): string {
  return written({ events: [], ephemeral: events, "de.sorunome.msc2409.ephemeral": events });
}
