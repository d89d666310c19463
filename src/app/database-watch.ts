import type { Opened } from "../ledger/openings.ts";
import type { Clock } from "../model/clock.ts";
import type { EmissaryError } from "../model/errors.ts";
import type { Logger } from "../model/logger.ts";
import { Signal } from "../concurrency/signal.ts";
import { workUntil } from "../concurrency/worker.ts";

/** Intervals of the test writes, normally and after a failure, in milliseconds. */
const BEAT_MS = 30_000;
const AGAIN_MS = 2_000;
/** Interval for noting the database's revision: a restored copy is recognised if it is older than the note. */
const NOTE_MS = 1_000;
/** A small row may fit where others do not, so all writes must succeed for this long. */
const QUIET_MS = 5_000;
/** A clock that was set back further is reported. */
const SET_BACK_MS = 60_000;

export interface WatchedDatabase {
  /** Writes a row. */
  beat(now: number): Promise<void>;
  /** Notes the database's revision in a file beside it. */
  note(now: number): Promise<void>;
}

/** A fault of the disk, and the error that its caller got. */
export interface DiskFault {
  readonly cause: string;
  readonly error: EmissaryError;
}

export interface DatabaseWatchParts {
  readonly clock: Clock;
  readonly log: Logger;
  /** Called whenever the database turns out to be writable, or not. */
  readonly isWritable: (writable: boolean) => void;
}

/** Knows whether the database can be written, from failed writes and from regular test writes. */
export class DatabaseWatch {
  readonly #parts: DatabaseWatchParts;
  #fault: { readonly cause: string; readonly at: number } | null = null;
  /** Fires at the first failed write. */
  readonly #broke = new Signal();

  constructor(parts: DatabaseWatchParts) {
    this.#parts = parts;
    parts.isWritable(true);
  }

  /** Why the database cannot be written, in a sentence; null if it can. */
  get fault(): string | null {
    if (this.#fault === null) return null;
    return (
      `Emissary cannot write its database (storage.sqlite): ${this.#fault.cause}. What the homeserver sends is refused, and comes again; ` +
      "give the disk room, or make it writable, and it goes on by itself."
    );
  }

  /** Called when the disk fails a write. */
  readonly faulted = ({ cause, error }: DiskFault): void => {
    const { clock, log, isWritable } = this.#parts;
    const isNew = this.#fault === null;
    this.#fault = { cause, at: clock.now() };
    if (!isNew) return;
    isWritable(false);
    log.error("database.not-writable", { error });
    this.#broke.notify();
  };

  tell({ restored, setBack }: Pick<Opened, "restored" | "setBack">): void {
    const { log } = this.#parts;
    const dated = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());
    if (restored !== null) {
      log.warn("database.restored", { written_until: dated(restored.from), lost_until: dated(restored.lostUntil) });
    }
    if (setBack > SET_BACK_MS) log.warn("clock.set-back", { by_ms: setBack });
  }

  async run(database: WatchedDatabase, abort: AbortSignal): Promise<void> {
    await Promise.all([this.#beat(database, abort), this.#note(database, abort)]);
  }

  async #note(database: WatchedDatabase, abort: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    await clock.sleep(NOTE_MS, abort);
    const round = async (): Promise<number> => {
      await database.note(clock.now());
      return NOTE_MS;
    };
    // If not even reading works, the test write reports it.
    await workUntil(abort, { round, failed: () => {}, failedRest: NOTE_MS, clock });
  }

  #beat(database: WatchedDatabase, abort: AbortSignal): Promise<void> {
    const { clock, log, isWritable } = this.#parts;
    return workUntil(abort, {
      round: async () => {
        const before = this.#fault;
        try {
          await database.beat(clock.now());
          if (before !== null && before === this.#fault && clock.now() - before.at >= QUIET_MS) {
            this.#fault = null;
            isWritable(true);
            log.info("database.writable-again", {});
          }
        } catch (error) {
          if (this.#fault === null) log.error("database.beat-failed", { error });
        }
        return this.#fault === null ? BEAT_MS : AGAIN_MS;
      },
      signals: [this.#broke],
      failed: (error) => log.error("database.beat-failed", { error }),
      clock,
    });
  }
}
