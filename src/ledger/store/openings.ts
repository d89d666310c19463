import { readFileSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import type { Database } from "better-sqlite3";
import type { EarlierOpening, Extent, Opened, Position, Restored } from "../openings.ts";
import type { Random } from "../../model/clock.ts";
import type { AuditStore } from "../../storage/audit.ts";
import { bringBack } from "../../storage/due-times.ts";
import { Store } from "../../storage/store.ts";
import { LAST_SEQ } from "./journal.ts";
import { ASK_LOAD } from "./stays.ts";

/** Number of openings kept. A position of an older one counts as lost. */
const KEPT = 1_000;
/** Length of an opening's random name. No other opening has the same name, not even of a copy that runs elsewhere. */
const NAME_BYTES = 9;

interface Beat {
  readonly at: number;
  readonly beats: number;
}
/** How far the database had come, as written beside it. */
type Seen = Position & Beat;

/** Records the openings of the database, and detects whether it continues what ran here last. */
export class OpeningStore extends Store {
  readonly #audit: AuditStore;
  /**
   * A small file beside the database (`emissary.db.seen`) that says how far it had come. A copy that replaces the
   * database does not bring it along. Only a message and the reload of rooms depend on it.
   */
  readonly #seenFile: string | null;
  readonly #held = this.sql<[], Extent>(`
    SELECT ${LAST_SEQ} AS seq, (SELECT coalesce(max(change), 0) FROM leases) AS change`);
  readonly #beat = this.sql<[], Beat>("SELECT at, beats FROM heartbeat");
  readonly #setBeat = this.sql<[number]>(`
    INSERT INTO heartbeat (one, at, beats) VALUES (1, ?, 1)
    ON CONFLICT (one) DO UPDATE SET at = excluded.at, beats = beats + 1`);
  readonly #openings = this.sql<[], { name: string } & Extent>("SELECT name, seq, change FROM openings ORDER BY nr");
  readonly #open = this.sql<[string, number, number, number]>(`
    INSERT INTO openings (name, at, seq, change) VALUES (?, ?, ?, ?)`);
  readonly #trim = this.sql<[number]>(`
    DELETE FROM openings WHERE nr <= (SELECT nr FROM openings ORDER BY nr DESC LIMIT 1 OFFSET ?)`);
  readonly #reload = this.sql<[number]>(`
    UPDATE rooms SET ${ASK_LOAD} WHERE load = 'loaded' AND own_membership = 'join'`);
  #name: string | null = null;
  #noted: Extent | null = null;

  /** @param path path of the database; one in memory has no file beside it */
  constructor(db: Database, audit: AuditStore, path: string) {
    super(db);
    this.#audit = audit;
    this.#seenFile = path === ":memory:" ? null : `${realpathSync(path)}.seen`;
  }

  /**
   * Begins an opening, before anything else uses the database. If a copy replaced it, every room is loaded again: what
   * was sent since the copy does not come again. If the clock was set back, due times move with it.
   */
  begin(now: number, random: Random): Opened {
    const opened = this.commit(() => this.#begin(now, random));
    this.#name = opened.name;
    this.#note(now);
    return opened;
  }

  /** Writes a row, to show that writing works and how far the database has come. */
  async beat(now: number): Promise<void> {
    this.#setBeat.run(now);
    this.#note(now);
  }

  /** Writes beside the database, and not into it, how far it has come, if that is further than before. */
  async note(now: number): Promise<void> {
    const { seq, change } = this.#extent();
    if (seq !== this.#noted?.seq || change !== this.#noted.change) this.#note(now);
  }

  #begin(now: number, random: Random): Opened {
    const held = this.#extent();
    const rows = this.#openings.all();
    const earlier = rows.map(({ name }, index): EarlierOpening => ({ name, end: rows[index + 1] ?? held }));
    const beat = this.#beat.get();
    const setBack = Math.max(0, (beat?.at ?? now) - now);
    if (setBack > 0) bringBack(this.db, now, setBack);
    const restored = earlier.length === 0 ? null : this.#restored(earlier, beat);
    if (restored !== null) this.#takeForCopy(restored, now);
    const name = random.token(NAME_BYTES);
    this.#open.run(name, now, held.seq, held.change);
    this.#trim.run(KEPT);
    this.#setBeat.run(now);
    return { name, earlier, restored, setBack };
  }

  #restored(earlier: readonly EarlierOpening[], beat: Beat | undefined): Restored | null {
    if (this.#seenFile === null) return null;
    const seen = readSeen(this.#seenFile);
    if (seen !== null && isHeld(seen, earlier, beat)) return null;
    return { from: beat?.at ?? null, lostUntil: seen?.at ?? null };
  }

  #takeForCopy({ from, lostUntil }: Restored, now: number): void {
    this.#reload.run(now);
    const detail = { written_until: from, lost_until: lostUntil };
    this.#audit.write({ actor: "emissary", action: "database.restore", outcome: "done", roomId: null, detail }, now);
  }

  #extent(): Extent {
    return this.#held.get() ?? { seq: 0, change: 0 };
  }

  #note(at: number): void {
    if (this.#name === null) return;
    this.#noted = this.#extent();
    const seen: Seen = { opening: this.#name, ...this.#noted, beats: this.#beat.get()?.beats ?? 0, at };
    if (this.#seenFile !== null) writeSeen(this.#seenFile, seen);
  }
}

/** Returns whether the database holds what was last seen here. */
function isHeld(seen: Seen, earlier: readonly EarlierOpening[], beat: Beat | undefined): boolean {
  const opening = earlier.find(({ name }) => name === seen.opening);
  return (
    opening !== undefined &&
    seen.seq <= opening.end.seq &&
    seen.change <= opening.end.change &&
    seen.beats <= (beat?.beats ?? 0)
  );
}

/** Returns null if there is no readable file. */
function readSeen(file: string): Seen | null {
  try {
    const value = JSON.parse(readFileSync(file, "utf8")) as Partial<Record<keyof Seen, unknown>> | null;
    const { opening, seq, change, beats, at } = value ?? {};
    const numbers = [seq, change, beats, at];
    if (typeof opening !== "string" || !numbers.every((one) => Number.isSafeInteger(one))) return null;
    return { opening, seq, change, beats, at } as Seen;
  } catch {
    return null;
  }
}

/** Writes the file after the commit it describes, so that it is never ahead of the database. On failure it stays old. */
function writeSeen(file: string, seen: Seen): void {
  try {
    writeFileSync(`${file}.tmp`, JSON.stringify(seen), { mode: 0o600 });
    renameSync(`${file}.tmp`, file);
  } catch {
    // The database, which is written more often, reports a full disk itself.
  }
}
