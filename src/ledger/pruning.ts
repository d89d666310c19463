import type { Clock } from "../model/clock.ts";
import type { Logger } from "../model/logger.ts";

/** What one small step has taken out of the journal. */
export interface Pruned {
  /** Rows that were written anew, and by how many bytes they have shrunk. */
  readonly rows: readonly { readonly firstSeq: number; readonly by: number }[];
  /** True where the next step should follow soon. */
  readonly isMore: boolean;
}

export interface PruneStore {
  /** Takes what was redacted out of some rows of the journal, in one commit. Readers have not been given it since its redaction came. */
  pruneSome(): Promise<Pruned>;
}

/** Between two sweeps through the journal: each is for all redactions that came meanwhile. And between two steps of one, milliseconds. */
const ROUND_MS = 10_000;
const PAUSE_MS = 20;

export interface PruningParts {
  readonly store: PruneStore;
  /** Told of the rows, for whoever knows how large the journal is. */
  readonly shrank: (rows: Pruned["rows"]) => void;
  readonly clock: Clock;
  readonly log: Logger;
  readonly abort: AbortSignal;
}

/** Takes redacted content out of the journal until the signal aborts. A step that fails is told and made again. */
export async function pruneJournal({ store, shrank, clock, log, abort }: PruningParts): Promise<void> {
  while (!abort.aborted) {
    let wait = ROUND_MS;
    try {
      const { rows, isMore } = await store.pruneSome();
      shrank(rows);
      if (rows.length > 0) log.debug("journal.pruned", { rows: rows.length });
      if (isMore) wait = PAUSE_MS;
    } catch (error) {
      log.error("journal.pruning-failed", { error });
    }
    await clock.sleep(wait, abort);
  }
}
