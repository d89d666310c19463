import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Position } from "../openings.ts";

/** How far the database had come, as written beside it. */
export interface Seen extends Position {
  readonly beats: number;
  readonly at: number;
}

/**
 * A small file beside the database (`emissary.db.seen`) that says how far it had come. A copy that replaces the
 * database does not bring this file along, and is so detected. Only the message to the operator and the reload of
 * rooms depend on it.
 */
export class LastSeen {
  readonly #file: string;

  /** @param path the database, its symbolic links resolved */
  constructor(path: string) {
    this.#file = `${path}.seen`;
  }

  /** Returns null if there is no readable file. */
  read(): Seen | null {
    try {
      const value = JSON.parse(readFileSync(this.#file, "utf8")) as Partial<Record<keyof Seen, unknown>> | null;
      const { opening, seq, change, beats, at } = value ?? {};
      const numbers = [seq, change, beats, at];
      if (typeof opening !== "string" || !numbers.every((one) => Number.isSafeInteger(one))) return null;
      return { opening, seq, change, beats, at } as Seen;
    } catch {
      return null;
    }
  }

  /**
   * Writes the file. Call it after the commit it describes, so that it is never ahead of the database. If it cannot be
   * written, it keeps its old content.
   */
  write(seen: Seen): void {
    const temporary = `${this.#file}.tmp`;
    try {
      writeFileSync(temporary, JSON.stringify(seen), { mode: 0o600 });
      renameSync(temporary, this.#file);
    } catch {
      // The database, which is written more often, reports a full disk itself.
    }
  }
}
