import type { AuditEntry } from "../../../model/audit.ts";
import type { Clock } from "../../../model/clock.ts";
import type { AuditWriter } from "../contracts.ts";

/**
 * Audits deeds in groups: what comes in the same turn of the event loop shares a commit, so that many tenants at once do not
 * each wait for the disk. A deed is answered only after its row is written.
 */
export class AuditQueue {
  readonly #writer: AuditWriter;
  readonly #clock: Clock;
  #entries: AuditEntry[] = [];
  #flush: Promise<void> | null = null;

  constructor(writer: AuditWriter, clock: Clock) {
    this.#writer = writer;
    this.#clock = clock;
  }

  /** Resolves after the commit. */
  note(entry: AuditEntry): Promise<void> {
    this.#entries.push(entry);
    this.#flush ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        const entries = this.#entries;
        this.#entries = [];
        this.#flush = null;
        this.#writer.noteAll(entries, this.#clock.now()).then(resolve, reject);
      });
    });
    return this.#flush;
  }
}
