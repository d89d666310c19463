import type { AuditEntry } from "./audit.ts";
import type { Clock } from "./clock.ts";

/** Entries of one kind within this time become one row, in milliseconds. */
const WINDOW_MS = 60_000;

/** An audited event that anybody may cause any number of times. */
export interface Occurrence {
  /** Entries of one group share a limit of kinds. */
  readonly group: string;
  readonly entry: AuditEntry;
  /** Stands for all entries of the group beyond that limit. */
  readonly other: AuditEntry;
}

export interface RepeatedEntriesParts {
  readonly write: (entry: AuditEntry) => Promise<void>;
  /** Most kinds of a group within a minute. */
  readonly kinds: number;
  readonly clock: Clock;
  /** When it fires, the counts are written. */
  readonly abort: AbortSignal;
  readonly failed: (error: unknown) => void;
}

interface Kind {
  /** Number of repeats since the kind's newest row. */
  repeats: number;
}

/**
 * Audits what strangers can repeat, without filling the disk. Writes the first entry of a kind at once. Counts repeats
 * within a minute, and writes their number as `times` at its end.
 */
export class RepeatedEntries {
  readonly #parts: RepeatedEntriesParts;
  readonly #groups = new Map<string, Map<string, Kind>>();

  constructor(parts: RepeatedEntriesParts) {
    this.#parts = parts;
  }

  /**
   * Resolves once the entry is written or counted, or could not be written.
   * @param kind a key that entries of one kind share
   */
  async note({ group, entry, other }: Occurrence, kind: string): Promise<void> {
    const kinds = this.#groups.get(group) ?? new Map<string, Kind>();
    this.#groups.set(group, kinds);
    const isOther = !kinds.has(kind) && kinds.size >= this.#parts.kinds;
    const key = isOther ? "" : kind;
    const known = kinds.get(key);
    if (known !== undefined) {
      known.repeats += 1;
      return;
    }
    const kept: Kind = { repeats: 0 };
    kinds.set(key, kept);
    const first = this.#write(isOther ? other : entry, 1);
    void this.#count(group, key, kept, isOther ? other : entry);
    await first;
  }

  /** Writes the number of repeats each minute until there are none. */
  async #count(group: string, key: string, kind: Kind, entry: AuditEntry): Promise<void> {
    const { clock, abort } = this.#parts;
    for (;;) {
      await clock.sleep(WINDOW_MS, abort);
      if (kind.repeats === 0) break;
      void this.#write(entry, kind.repeats);
      kind.repeats = 0;
    }
    const kinds = this.#groups.get(group);
    kinds?.delete(key);
    if (kinds?.size === 0) this.#groups.delete(group);
  }

  async #write(entry: AuditEntry, times: number): Promise<void> {
    const { write, failed } = this.#parts;
    await write({ ...entry, detail: { ...entry.detail, times } }).catch(failed);
  }
}
