import type { Clock, Random } from "../model/clock.ts";
import { KeyedMutex } from "../concurrency/keyed-mutex.ts";
import { isStateEvent, type RoomEvent } from "../model/event.ts";
import type { EventId, RoomId, UserId } from "../model/ids.ts";
import { written } from "../model/json.ts";
import { Signal } from "../concurrency/signal.ts";
import { foldEvent, type LedgerChange } from "./fold.ts";
import type { LedgerWriter, Recorded, SetAside } from "./ledger.ts";
import { RecentEventIds } from "./recent-event-ids.ts";
import { RecentIds } from "./recent-ids.ts";
import type { WrittenRow } from "./shared-journal.ts";

/** How many events a repetition is known within: several times what a homeserver holds back and sends again. */
export const EVENT_MEMORY = 50_000;
/** A homeserver repeats the newest transaction only; some more cost nothing. */
export const TRANSACTION_MEMORY = 64;

/** Events of one row that no transaction brought, and what stands there for its ID. No transaction has it, with the digest of a body. */
const LATE_AT_ONCE = 100;
const LATE = "late";

/** A transaction as intake has parsed it. */
export interface IncomingTransaction {
  readonly txnId: string;
  readonly digest: string;
  readonly events: readonly RoomEvent[];
  readonly setAside: readonly SetAside[];
  /** The body as received, if its `events` are `events` and nothing else is in it that must not be kept; else null. */
  readonly verbatim: Uint8Array | null;
  /** Gives the events their texts (model/json-text.ts), for when they are written again. */
  readonly withTexts?: () => void;
}

export interface RecordOutcome {
  /** True when this very transaction was recorded before. */
  readonly repeated: boolean;
  readonly fresh: number;
  readonly duplicates: number;
  readonly setAside: number;
  readonly gaps: number;
}

/**
 * The one door for facts: writes what the homeserver sent once, however often it sends it.
 *
 * Two memories tell a repetition. A transaction is known by its ID together with its content, because a homeserver's counter
 * may start again at 1 (Synapse on SQLite does at every restart). An event is known by its ID, because a homeserver may send
 * one in two transactions. Both are read back from the journal at start, and grow only after the commit.
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

  /** @param brought told of each row of the journal once it is written, in order; it does not throw, and does little */
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

  /** Tells, before anything is parsed, whether this very transaction is already on disk. */
  isRepeated(txnId: string, digest: string): boolean {
    return this.#transactions.has(transactionKey(txnId, digest));
  }

  /** Whether an event was received, of the newest EVENT_MEMORY. */
  knows(eventId: EventId): boolean {
    return this.#events.has(eventId);
  }

  /** How many new events transactions have brought since the start. */
  get received(): number {
    return this.#received;
  }

  /** Resolves after the commit; rejects, and has changed nothing, where the commit failed. One at a time, in order of calls. */
  record(incoming: IncomingTransaction): Promise<RecordOutcome> {
    return this.#mutex.run(null, () => this.#record(incoming));
  }

  /**
   * Asks the homeserver for one state event and takes in the answer: it changes the ledger and has no place in the journal. The
   * same event coming in a transaction later changes nothing more; what came in one while the answer was on its way is newer.
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
   * Takes in events of a room that the homeserver lost on their way, in their order: in the journal they stand where they are found, and
   * what is true by now they do not tell, so the room is asked for anew. One at a time with transactions.
   * @returns how many had not come
   */
  recordLate(roomId: RoomId, events: readonly RoomEvent[]): Promise<number> {
    return this.#mutex.run(null, () => this.#recordLate(roomId, events));
  }

  async #recordLate(roomId: RoomId, events: readonly RoomEvent[]): Promise<number> {
    const missing = this.#freshOf(events.filter(({ room_id }) => room_id === roomId));
    for (let at = 0; at < missing.length; at += LATE_AT_ONCE) {
      const fresh = missing.slice(at, at + LATE_AT_ONCE);
      const changes = fresh.flatMap((event) => foldEvent(event, this.#own)).filter(({ kind }) => kind === "redaction");
      const body = Buffer.from(written({ events: fresh }));
      const receivedAt = this.#clock.now();
      const { firstSeq } = await this.#writer.record({
        txnId: LATE,
        digest: "",
        receivedAt,
        body,
        eventIds: fresh.map((event) => event.event_id),
        changes,
        setAside: [],
        ...(fresh.some(isStateEvent) ? { reload: roomId } : {}),
      });
      for (const event of fresh) this.#events.add(event.event_id);
      this.#brought({ firstSeq, receivedAt, events: fresh, bytes: body.length }, true);
      this.committed.notify();
    }
    return missing.length;
  }

  async #record(incoming: IncomingTransaction): Promise<RecordOutcome> {
    const key = transactionKey(incoming.txnId, incoming.digest);
    if (this.#transactions.has(key)) return { repeated: true, fresh: 0, duplicates: 0, setAside: 0, gaps: 0 };

    const fresh = this.#freshOf(incoming.events);
    const isWhole = fresh.length === incoming.events.length;
    const body = isWhole && incoming.verbatim !== null ? incoming.verbatim : rewritten(incoming, fresh);
    const { setAside } = incoming;
    const changes: LedgerChange[] = [];
    for (const event of fresh) changes.push(...foldEvent(event, this.#own));

    const receivedAt = this.#clock.now();
    let recorded: Recorded | null = null;
    if (fresh.length > 0 || setAside.length > 0) {
      recorded = await this.#writer.record({
        txnId: incoming.txnId,
        digest: incoming.digest,
        receivedAt,
        body,
        eventIds: fresh.map((event) => event.event_id),
        changes,
        setAside,
      });
    }
    this.#transactions.add(key);
    for (const event of fresh) this.#events.add(event.event_id);
    if (fresh.length > 0 && recorded !== null) {
      const { firstSeq } = recorded;
      const { withTexts } = incoming;
      const row = { firstSeq, receivedAt, events: fresh, bytes: body.length };
      this.#received += fresh.length;
      this.#brought(withTexts === undefined ? row : { ...row, withTexts }, false);
      this.committed.notify();
    }
    if (changes.some(concernsUs)) this.ownChanged.notify();
    return {
      repeated: false,
      fresh: fresh.length,
      duplicates: incoming.events.length - fresh.length,
      setAside: setAside.length,
      gaps: recorded?.gaps.length ?? 0,
    };
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

/** The body of a transaction with these of its events. */
function rewritten({ withTexts }: IncomingTransaction, events: readonly RoomEvent[]): Uint8Array {
  withTexts?.();
  return Buffer.from(written({ events }));
}

function concernsUs(change: LedgerChange): boolean {
  return change.kind === "upgrade" || (change.kind === "member" && change.own);
}

/** The ID comes from outside and may hold anything; the digest is of fixed length and stands first. */
function transactionKey(txnId: string, digest: string): string {
  return `${digest} ${txnId}`;
}
