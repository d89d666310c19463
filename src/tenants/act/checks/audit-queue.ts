import type { Clock } from "../../../model/clock.ts";
import type { Logger } from "../../../model/logger.ts";
import type { AuditWriter, Deed } from "../contracts.ts";

/** Entries of deeds that the database did not take, and how soon they are tried again, milliseconds. */
const MAX_LATE = 1_000;
const AGAIN_MS = 5_000;

export interface AuditQueueParts {
  readonly writer: AuditWriter;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told how many entries are late whenever that changes. */
  readonly late: (entries: number) => void;
  readonly abort: AbortSignal;
}

/**
 * Audits deeds in groups: what comes in the same turn of the event loop shares a commit, so that many tenants at once do not
 * each wait for the disk. A deed is answered only after its row is written.
 */
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

  /** Resolves after the commit; rejects where it failed. For what has not been done yet, or was refused. */
  note(entry: Deed): Promise<void> {
    this.#entries.push(entry);
    this.#flush ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        const entries = this.#entries;
        this.#entries = [];
        this.#flush = null;
        const { writer, clock } = this.#parts;
        writer.noteAll(entries, clock.now()).then(resolve, reject);
      });
    });
    return this.#flush;
  }

  /**
   * The same for what the homeserver has done: that is so whether we can write it down or not, and whoever asked for it is to be
   * told so. An entry that cannot be written is kept, as many as there is room for, and written once that can be done.
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
        // As full as before.
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
