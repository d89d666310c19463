import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Position } from "../openings.ts";

/** How far a database had come, as is written beside it. */
export interface Seen extends Position {
  readonly beats: number;
  readonly at: number;
}

/**
 * A small file beside the database (`emissary.db.seen`) that says how far it had come. A copy that takes the database's place
 * does not bring it along, and so is known. Nothing rests on it but what the operator is told and that rooms are loaded again.
 */
export class LastSeen {
  readonly #file: string;

  /** @param path the database, its symbolic links resolved */
  constructor(path: string) {
    this.#file = `${path}.seen`;
  }

  /** Null where there is none that can be read. */
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

  /** After the commit that it tells of: so it is never ahead of the database. One that cannot be written stays as it is. */
  write(seen: Seen): void {
    const temporary = `${this.#file}.tmp`;
    try {
      writeFileSync(temporary, JSON.stringify(seen), { mode: 0o600 });
      renameSync(temporary, this.#file);
    } catch {
      // A full disk is told of by the database itself, which is written more.
    }
  }
}
