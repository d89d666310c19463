/** A row of the journal: one transaction of the homeserver, with the numbers of its events. */
export interface JournalRow {
  readonly firstSeq: number;
  readonly events: number;
  readonly receivedAt: number;
  readonly bytes: number;
}

export interface RetentionLimits {
  /** Rows older than this may go, milliseconds. */
  readonly journalKeep: number;
  /** The oldest rows go while all of them together are larger, bytes. */
  readonly journalMaxSize: number;
  readonly auditKeep: number;
  /** The oldest entries go while all of them together are larger, bytes. */
  readonly auditMaxSize: number;
  /** What the recorder reads back at a start: so many newest events and transactions stay whatever the other limits say. */
  readonly memory: { readonly events: number; readonly transactions: number };
}

/** Where the journal ends, and who still has to read it. */
export interface JournalEdges {
  /** The number of the newest event. */
  readonly last: number;
  /** Where the row begins that is the n-th newest; 0 where there are fewer. */
  readonly recentFrom: number;
  /** The lowest cursor of all consumers; null where there is no consumer. */
  readonly lowestCursor: number | null;
}

/** Removed in one commit, so that no transaction of the homeserver waits long for its own. */
export const BATCH = { rows: 200, bytes: 4 * 1024 * 1024 } as const;

export interface JournalState extends JournalEdges {
  readonly now: number;
  /** Of the whole journal. */
  readonly bytes: number;
}

/** The number above which the recorder needs all. Numbers have no gaps, so the newest n events are those above last - n. */
export function recorderSpares({ last, recentFrom }: JournalEdges, limits: RetentionLimits): number {
  return Math.min(last - limits.memory.events, recentFrom - 1);
}

/**
 * Up to which number the journal may be cut: 0 for not at all. Rows go whole, oldest first; none goes that holds anything above
 * the lowest cursor, or that the recorder needs to know repetitions by.
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
