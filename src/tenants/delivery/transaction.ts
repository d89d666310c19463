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
 * The transaction that these events make; null for none. The same events make the same one, whenever that is asked. Numbers come
 * again with other events after a restore, and after a replay perhaps in other pieces: opening and epoch tell these apart.
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

/** The body for ephemeral events, under their stable name (spec v1.13) and the one that today's SDKs read (MSC2409). */
export function ephemeralBody(events: readonly JsonObject[]): string {
  return written({ events: [], ephemeral: events, "de.sorunome.msc2409.ephemeral": events });
}
