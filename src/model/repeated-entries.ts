import type { AuditEntry } from "./audit.ts";
import type { Clock } from "./clock.ts";

/** Entries of one kind within this time are one row, milliseconds. */
const WINDOW_MS = 60_000;

/** Something that is audited, and may happen as often as somebody likes. */
export interface Occurrence {
  /** Shares its kinds' number with others of the group. */
  readonly group: string;
  readonly entry: AuditEntry;
  /** Stands for all those of the group that are of one kind too many. */
  readonly other: AuditEntry;
}

export interface RepeatedEntriesParts {
  readonly write: (entry: AuditEntry) => Promise<void>;
  /** Kinds that a group's entries are told apart by within a minute. */
  readonly kinds: number;
  readonly clock: Clock;
  /** When it fires, what was counted is written. */
  readonly abort: AbortSignal;
  readonly failed: (error: unknown) => void;
}

interface Kind {
  /** How often since the kind's newest row. */
  repeats: number;
}

/**
 * Audits what strangers can make happen again and again. The first of a kind is written at once; those that follow within a minute
 * are counted, and the minute's end writes their number, as `times`. So the disk is not theirs to fill.
 */
export class RepeatedEntries {
  readonly #parts: RepeatedEntriesParts;
  readonly #groups = new Map<string, Map<string, Kind>>();

  constructor(parts: RepeatedEntriesParts) {
    this.#parts = parts;
  }

  /**
   * Resolves once the entry is written or counted, or could not be written.
   * @param kind what entries of one kind have in common
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

  /** Writes, a minute at a time, how many followed, until none does. */
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
