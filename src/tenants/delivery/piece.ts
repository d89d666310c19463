import type { FeedLimits, FeedPiece } from "../feed/feed.ts";
import { written } from "../../model/json.ts";
import type { Place } from "../store/deliveries.ts";
import type { Failure } from "./outcome.ts";

export const LARGEST = { events: 100, bytes: 4 * 1024 * 1024 } as const;
/**
 * After this many failures at the same events, one of them may be the cause. The limit is higher if the tenant may
 * have taken them, since it takes halves of them for new transactions.
 */
const FAILURES = { refused: 3, unclear: 10 } as const;

type Events = FeedPiece["events"];

export interface Transaction {
  readonly txnId: string;
  readonly body: string;
  readonly first: number;
}

/** What to do after a failure: send fewer events, or the same again; `stuck` if one event blocks the rest. */
export type Next = "smaller" | "again" | "stuck";

/**
 * Decides how much one transaction holds. A tenant, or a proxy before it, may refuse a transaction for its size or
 * fail at one event. Halving it delivers the other events and finds the one that fails.
 */
export class PieceSize {
  #events: number = LARGEST.events;
  /** Bytes of the smallest transaction of several events that was refused for its size. */
  #refused = Infinity;
  #failures = 0;
  #isSearching = false;
  /** Whether the tenant may already have taken the current transaction. */
  #isUnclear: boolean;

  /** @param isUnclear whether a transaction was under way when the program last ended */
  constructor(isUnclear: boolean) {
    this.#isUnclear = isUnclear;
  }

  /** @param most the operator's limit in bytes for this tenant; null for the default */
  limits(most: number | null): FeedLimits {
    return { events: this.#events, bytes: Math.min(LARGEST.bytes, most ?? Infinity, this.#refused / 2) };
  }

  /** Returns the first events that fit into the next transaction; one always fits. */
  cut(
    place: Pick<Place, "opening" | "epoch">,
    events: Events,
    most: number | null,
  ): { readonly events: Events; readonly made: Transaction | null } {
    const limits = this.limits(most);
    let fitting = events.slice(0, limits.events);
    let made = transactionOf(place, fitting);
    while (made !== null && fitting.length > 1 && Buffer.byteLength(made.body) > limits.bytes) {
      fitting = fitting.slice(0, Math.ceil(fitting.length / 2));
      made = transactionOf(place, fitting);
    }
    return { events: fitting, made };
  }

  taken(): void {
    this.#failures = 0;
    this.#isUnclear = false;
    this.#events = Math.min(LARGEST.events, this.#events * 2);
    if (this.#events === LARGEST.events) this.#isSearching = false;
  }

  failed({ blames }: Failure, events: number, bytes: number): Next {
    if (blames === "nothing") return "again";
    this.#failures += 1;
    if (blames === "silence") this.#isUnclear = true;
    if (blames === "size") {
      if (events === 1) return "stuck";
      this.#refused = Math.min(this.#refused, bytes);
      return "smaller";
    }
    const isOften = this.#failures >= (this.#isUnclear && !this.#isSearching ? FAILURES.unclear : FAILURES.refused);
    if (events === 1) return isOften ? "stuck" : "again";
    if (!isOften && !(this.#isSearching && blames === "events")) return "again";
    this.#isSearching = true;
    this.#isUnclear = false;
    this.#failures = 0;
    this.#events = Math.floor(events / 2);
    return "smaller";
  }
}

/**
 * Makes the transaction of these events; null for none. The same events always make the same one. Numbers repeat after
 * a restore and pieces may differ after a replay: the opening and the epoch tell them apart.
 */
export function transactionOf(
  { opening, epoch }: Pick<Place, "opening" | "epoch">,
  events: Events,
): Transaction | null {
  const [first] = events;
  if (first === undefined) return null;
  return {
    txnId: `${opening}.${epoch}.${first.seq}-${events.at(-1)?.seq}`,
    body: written({ events: events.map(({ event }) => event) }),
    first: first.seq,
  };
}
