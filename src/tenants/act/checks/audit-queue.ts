import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../../model/clock.ts";
import type { Logger } from "../../../model/logger.ts";
import type { Deed, SqliteSentStore } from "../../store/sent.ts";

/** Maximum entries kept after a failed write, and the pause before the next try, milliseconds. */
const MAX_LATE = 1_000;
const AGAIN_MS = 5_000;

export interface AuditQueueParts {
  readonly writer: Pick<SqliteSentStore, "noteAll">;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called with the number of late entries after each change. */
  readonly late: (entries: number) => void;
  readonly abort: AbortSignal;
}

/** Audits deeds before they are answered. Entries of one turn of the event loop share a commit. */
export class AuditQueue {
  readonly #parts: AuditQueueParts;
  #entries: Deed[] = [];
  #flush: Promise<void> | null = null;
  #late: { readonly entry: Deed; readonly at: number }[] = [];
  #lost = 0;
  #isCatchingUp = false;

  constructor(parts: AuditQueueParts) {
    this.#parts = parts;
  }

  /** For refusals and deeds not done yet. Resolves after the commit; rejects if it failed. */
  note(entry: Deed): Promise<void> {
    this.#entries.push(entry);
    this.#flush ??= setImmediate().then(() => {
      const entries = this.#entries;
      this.#entries = [];
      this.#flush = null;
      return this.#parts.writer.noteAll(entries, this.#parts.clock.now());
    });
    return this.#flush;
  }

  /**
   * For deeds that the homeserver has done: the caller is told even if the entry cannot be written. Such an entry is
   * kept, up to the limit, and written later.
   */
  async noteDone(entry: Deed): Promise<void> {
    const at = this.#parts.clock.now();
    try {
      await this.note(entry);
    } catch (error) {
      if (this.#late.length === 0) this.#parts.log.error("audit.late", { error });
      this.#late.push({ entry, at });
      if (this.#late.length > MAX_LATE) {
        this.#late.shift();
        this.#lost += 1;
      }
      this.#parts.late(this.#late.length);
      if (!this.#isCatchingUp) void this.#catchUp();
    }
  }

  async #catchUp(): Promise<void> {
    const { writer, clock, log, late, abort } = this.#parts;
    this.#isCatchingUp = true;
    while (this.#late.length > 0 && !abort.aborted) {
      await clock.sleep(AGAIN_MS, abort);
      const trying = this.#late;
      this.#late = [];
      try {
        for (let first = trying[0]; first !== undefined; first = trying[0]) {
          await writer.noteAll([first.entry], first.at);
          trying.shift();
        }
      } catch {
        // The database still does not take entries.
      }
      const kept = [...trying, ...this.#late];
      this.#late = kept.slice(-MAX_LATE);
      this.#lost += kept.length - this.#late.length;
      late(this.#late.length);
    }
    this.#isCatchingUp = false;
    const lost = this.#lost + this.#late.length;
    if (lost > 0) log.error("audit.lost", { entries: lost });
    this.#lost = 0;
  }
}
