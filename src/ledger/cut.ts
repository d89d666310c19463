/** A row of the journal: one transaction of the homeserver, with its events' numbers. */
export interface JournalRow {
  readonly firstSeq: number;
  readonly events: number;
  readonly receivedAt: number;
  readonly bytes: number;
}

export interface RetentionLimits {
  /** Rows older than this may be removed, in milliseconds. */
  readonly journalKeep: number;
  /** While the journal is larger than this, its oldest rows are removed; in bytes. */
  readonly journalMaxSize: number;
  readonly auditKeep: number;
  /** While the audit is larger than this, its oldest entries are removed; in bytes. */
  readonly auditMaxSize: number;
  /** The newest events and transactions, which the recorder reads at start. They always stay. */
  readonly memory: { readonly events: number; readonly transactions: number };
}

/** Where the journal ends, and what its consumers have yet to read. */
export interface JournalEdges {
  /** Number of the newest event. */
  readonly last: number;
  /** Number at which the n-th newest row begins; 0 if there are fewer rows. */
  readonly recentFrom: number;
  /** Lowest cursor of any consumer; null if there is no consumer. */
  readonly lowestCursor: number | null;
}

/** Most that one commit removes, so that it never delays a transaction of the homeserver for long. */
export const BATCH = { rows: 200, bytes: 4 * 1024 * 1024 } as const;

export interface JournalState extends JournalEdges {
  readonly now: number;
  /** Size of the whole journal. */
  readonly bytes: number;
}

/** Returns the number above which the recorder needs every event. Numbers have no gaps. */
export function recorderSpares({ last, recentFrom }: JournalEdges, limits: RetentionLimits): number {
  return Math.min(last - limits.memory.events, recentFrom - 1);
}

/**
 * Returns the number up to which the journal may be cut; 0 if it may not. Whole rows are cut, oldest first. A row
 * stays if it holds an event above the lowest cursor, or one that the recorder needs to detect repeats.
 * @param oldest the journal's oldest rows, in order
 */
export function cutOf(oldest: readonly JournalRow[], state: JournalState, limits: RetentionLimits): number {
  const { now, lowestCursor } = state;
  const spared = Math.min(recorderSpares(state, limits), lowestCursor ?? Infinity);
  let cut = 0;
  let left = state.bytes;
  let removed = 0;
  for (const row of oldest.slice(0, BATCH.rows)) {
    const lastOfRow = row.firstSeq + row.events - 1;
    const isOver = now - row.receivedAt > limits.journalKeep || left > limits.journalMaxSize;
    if (lastOfRow > spared || !isOver || (removed > 0 && removed + row.bytes > BATCH.bytes)) break;
    cut = lastOfRow;
    left -= row.bytes;
    removed += row.bytes;
  }
  return cut;
}

/** A consumer with unread events. */
export interface Reader {
  readonly consumer: string;
  /** Number up to which it has read. */
  readonly seq: number;
  /** When its first unread event arrived. */
  readonly unreadAt: number;
  /** Last number of the row of that event. */
  readonly unreadRowEnd: number;
}

/** A consumer that keeps more of the journal than the limits allow. */
export interface LaggingConsumer {
  readonly consumer: string;
  readonly seq: number;
  /** Number of its unread events. */
  readonly behind: number;
  /** When the first of them arrived. */
  readonly since: number;
}

/**
 * Returns the consumers that hold back the cut. It finds every consumer whose next event is too old, and those in the
 * way of the next cut for size. Finding those in the way of later cuts would mean adding up the journal.
 * @param oldest the journal's oldest rows, in order
 */
export function laggingConsumersOf(
  readers: readonly Reader[],
  oldest: readonly JournalRow[],
  state: JournalState,
  limits: RetentionLimits,
): readonly LaggingConsumer[] {
  const free = cutOf(oldest, { ...state, lowestCursor: null }, limits);
  const spares = recorderSpares(state, limits);
  return readers
    .filter(
      ({ seq, unreadAt, unreadRowEnd }) =>
        seq < free || (unreadRowEnd <= spares && state.now - unreadAt > limits.journalKeep),
    )
    .map(({ consumer, seq, unreadAt }) => ({ consumer, seq, behind: state.last - seq, since: unreadAt }));
}
