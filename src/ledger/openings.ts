/** The newest numbers of the journal and the leases at some moment. Within one database both only rise. */
export interface Extent {
  readonly seq: number;
  readonly change: number;
}

/** A handed-out position in journal and leases, with the opening of the database that handed it out. */
export interface Position extends Extent {
  readonly opening: string;
}

/** A past opening of the database, and what the database held when the next one began. */
export interface EarlierOpening {
  readonly name: string;
  readonly end: Extent;
}

export interface Opened {
  /** A name that no other opening has, of this database or of any copy of it. */
  readonly name: string;
  readonly earlier: readonly EarlierOpening[];
  /** Null if the database continues what ran here last, or nothing ran here before. */
  readonly restored: Restored | null;
  /** How far the clock was behind the last time in the database; 0 if it was not. */
  readonly setBack: number;
}

/** The database is not the one that ran here last: a backup was restored, or the database was moved here. */
export interface Restored {
  /** When the database was last written; null if it does not say. */
  readonly from: number | null;
  /** When the database that ran here last was last written; null if unknown. */
  readonly lostUntil: number | null;
}

/**
 * The known openings of the database. After a restore, numbers of the journal and of leases are assigned again, and
 * nothing in a file shows that it is a copy. So every handed-out number comes with its opening's name. A position is
 * lost if its opening is unknown, or if it lies beyond what the database held at that opening's end.
 */
export class Openings {
  readonly name: string;
  readonly #ends: ReadonlyMap<string, Extent>;

  constructor({ name, earlier }: Pick<Opened, "name" | "earlier">) {
    this.name = name;
    this.#ends = new Map(earlier.map((opening) => [opening.name, opening.end]));
  }

  /**
   * Returns whether the database holds everything before the position.
   * @param held what it holds now
   */
  has({ opening, seq, change }: Position, held: Extent): boolean {
    const end = opening === this.name ? held : this.#ends.get(opening);
    return end !== undefined && seq <= end.seq && change <= end.change;
  }
}
