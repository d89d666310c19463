import type { Clock, Random } from "../model/clock.ts";
import { KeyedMutex } from "../concurrency/keyed-mutex.ts";
import { isStateEvent, type RoomEvent } from "../model/event.ts";
import type { EventId, RoomId, UserId } from "../model/ids.ts";
import { written } from "../model/json.ts";
import { Signal } from "../concurrency/signal.ts";
import { foldEvent, type LedgerChange } from "./fold.ts";
import type { Ledger } from "./ledger.ts";
import { RecentEventIds } from "./recent-event-ids.ts";
import { RecentIds } from "./recent-ids.ts";
import type { WrittenRow } from "./shared-journal.ts";
import type { LedgerStore, SetAside, TransactionRecord } from "./store/ledger.ts";

/** How many events back a repeat is detected: several times what a homeserver queues and sends again. */
export const EVENT_MEMORY = 50_000;
/** A homeserver repeats only the newest transaction; a few more cost nothing. */
export const TRANSACTION_MEMORY = 64;

/** Late events in one row, and the ID of such a row. No transaction can have this ID together with a body's digest. */
const LATE_AT_ONCE = 100;
const LATE = "late";

/** Writes facts. */
export type LedgerWriter = Omit<LedgerStore, keyof Ledger>;

export interface IncomingTransaction {
  readonly txnId: string;
  readonly digest: string;
  readonly events: readonly RoomEvent[];
  readonly setAside: readonly SetAside[];
  /** The body as received, if its events are exactly `events` and it holds nothing that must not be kept. */
  readonly verbatim: Uint8Array | null;
  /** Gives the events their texts (model/json-text.ts), for when they are written again. */
  readonly withTexts?: () => void;
}

export interface RecordOutcome {
  /** True if this very transaction was recorded before. */
  readonly repeated: boolean;
  readonly fresh: number;
  readonly duplicates: number;
  readonly setAside: number;
  readonly gaps: number;
}

/**
 * Writes each event of the homeserver once, however often it arrives. Two memories detect repeats. A transaction is
 * known by its ID together with its content, because a homeserver's counter may start again at 1 (on Synapse with
 * SQLite, at every restart). An event is known by its ID, because a homeserver may send it in two transactions. Both
 * memories are read from the journal at start, and grow only after the commit.
 */
export class Recorder {
  /** Fires after every commit that brought events. */
  readonly committed = new Signal();
  /** Fires after a commit that changed the pseudouser's own membership, or moved leases. */
  readonly ownChanged = new Signal();

  readonly #writer: LedgerWriter;
  readonly #own: UserId;
  readonly #clock: Clock;
  readonly #events: RecentEventIds;
  readonly #transactions = new RecentIds(TRANSACTION_MEMORY);
  readonly #brought: (row: WrittenRow, isLate: boolean) => void;
  #received = 0;
  readonly #mutex = new KeyedMutex();

  /** @param brought called with each written row of the journal, in order; it must not throw, and must be quick */
  constructor(
    writer: LedgerWriter,
    own: UserId,
    clock: Clock,
    random: Random,
    brought: (row: WrittenRow, isLate: boolean) => void = () => {},
  ) {
    this.#brought = brought;
    this.#events = new RecentEventIds(EVENT_MEMORY, random);
    this.#writer = writer;
    this.#own = own;
    this.#clock = clock;
  }

  /** Remembers what the journal holds. Call it before the first record. */
  async start(): Promise<void> {
    for (const id of await this.#writer.recentEventIds(EVENT_MEMORY)) this.#events.add(id);
    for (const { txnId, digest } of await this.#writer.recentTransactions(TRANSACTION_MEMORY)) {
      this.#transactions.add(transactionKey(txnId, digest));
    }
  }

  /** Returns whether this very transaction is already on disk, before anything is parsed. */
  isRepeated(txnId: string, digest: string): boolean {
    return this.#transactions.has(transactionKey(txnId, digest));
  }

  /** Returns whether an event is among the newest EVENT_MEMORY received. */
  knows(eventId: EventId): boolean {
    return this.#events.has(eventId);
  }

  /** Number of new events from transactions since the start. */
  get received(): number {
    return this.#received;
  }

  /** Resolves after the commit; rejects, with nothing changed, if it failed. One at a time, in order of calls. */
  record(incoming: IncomingTransaction): Promise<RecordOutcome> {
    return this.#mutex.run(null, () => this.#record(incoming));
  }

  /**
   * Asks the homeserver for one state event and writes the answer to the ledger, not to the journal. An event that
   * arrives in a transaction during the query is newer, and stays.
   */
  async observe(ask: () => Promise<RoomEvent | null>): Promise<void> {
    const asOf = await this.#writer.lastSeq();
    const event = await ask();
    if (event === null) return;
    const changes = foldEvent(event, this.#own);
    await this.#writer.observe(changes, asOf, this.#clock.now());
    if (changes.some(concernsUs)) this.ownChanged.notify();
  }

  /**
   * Takes in events of a room that the homeserver failed to deliver, in their order. In the journal they stand where
   * they were found. They do not tell the present state, so the room is loaded again. One at a time with transactions.
   * @returns how many were missing
   */
  recordLate(roomId: RoomId, events: readonly RoomEvent[]): Promise<number> {
    return this.#mutex.run(null, () => this.#recordLate(roomId, events));
  }

  async #recordLate(roomId: RoomId, events: readonly RoomEvent[]): Promise<number> {
    const missing = this.#freshOf(events.filter(({ room_id }) => room_id === roomId));
    for (let at = 0; at < missing.length; at += LATE_AT_ONCE) {
      const fresh = missing.slice(at, at + LATE_AT_ONCE);
      const changes = fresh.flatMap((event) => foldEvent(event, this.#own)).filter(({ kind }) => kind === "redaction");
      const reload = fresh.some(isStateEvent) ? { reload: roomId } : {};
      const body = Buffer.from(written({ events: fresh }));
      await this.#write({ txnId: LATE, digest: "", body, changes, setAside: [], ...reload }, fresh, {}, true);
    }
    return missing.length;
  }

  async #record(incoming: IncomingTransaction): Promise<RecordOutcome> {
    const { txnId, digest, events, setAside, verbatim, withTexts } = incoming;
    const key = transactionKey(txnId, digest);
    if (this.#transactions.has(key)) return { repeated: true, fresh: 0, duplicates: 0, setAside: 0, gaps: 0 };

    const fresh = this.#freshOf(events);
    const isWhole = fresh.length === events.length;
    const body = isWhole && verbatim !== null ? verbatim : rewritten(incoming, fresh);
    const changes: LedgerChange[] = [];
    for (const event of fresh) changes.push(...foldEvent(event, this.#own));

    const isNews = fresh.length > 0 || setAside.length > 0;
    const texts = withTexts === undefined ? {} : { withTexts };
    const gaps = isNews ? await this.#write({ txnId, digest, body, changes, setAside }, fresh, texts) : 0;
    this.#transactions.add(key);
    this.#received += fresh.length;
    if (changes.some(concernsUs)) this.ownChanged.notify();
    const duplicates = events.length - fresh.length;
    return { repeated: false, fresh: fresh.length, duplicates, setAside: setAside.length, gaps };
  }

  /** Writes a row with these events, and then tells of it. Returns the number of gaps found. */
  async #write(
    row: Omit<TransactionRecord, "receivedAt" | "eventIds">,
    events: readonly RoomEvent[],
    texts: Pick<WrittenRow, "withTexts">,
    isLate = false,
  ): Promise<number> {
    const receivedAt = this.#clock.now();
    const eventIds = events.map((event) => event.event_id);
    const { firstSeq, gaps } = await this.#writer.record({ ...row, receivedAt, eventIds });
    for (const id of eventIds) this.#events.add(id);
    if (events.length === 0) return gaps.length;
    this.#brought({ firstSeq, receivedAt, events, bytes: row.body.length, ...texts }, isLate);
    this.committed.notify();
    return gaps.length;
  }

  #freshOf(events: readonly RoomEvent[]): readonly RoomEvent[] {
    const inThisOne = new Set<string>();
    return events.filter((event) => {
      if (this.#events.has(event.event_id) || inThisOne.has(event.event_id)) return false;
      inThisOne.add(event.event_id);
      return true;
    });
  }
}

/** Returns a transaction's body with only these of its events. */
function rewritten({ withTexts }: IncomingTransaction, events: readonly RoomEvent[]): Uint8Array {
  withTexts?.();
  return Buffer.from(written({ events }));
}

function concernsUs(change: LedgerChange): boolean {
  return change.kind === "upgrade" || (change.kind === "member" && change.own);
}

/** The ID comes from outside and may hold anything. The digest has a fixed length and stands first. */
function transactionKey(txnId: string, digest: string): string {
  return `${digest} ${txnId}`;
}
