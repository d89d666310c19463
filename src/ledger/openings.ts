/** What the journal and the leases held at a moment: the newest number of each. Within one database both only rise. */
export interface Extent {
  readonly seq: number;
  readonly change: number;
}

/** A place in journal and leases as it is handed out, with the opening of the database in which that was done. */
export interface Position extends Extent {
  readonly opening: string;
}

/** An opening of the database that is over, and what the database held when the next one began. */
export interface EarlierOpening {
  readonly name: string;
  readonly end: Extent;
}

/** What was found when the database was opened. */
export interface Opened {
  /** A name that no other opening has, of this database or of any copy of it. */
  readonly name: string;
  readonly earlier: readonly EarlierOpening[];
  /** Null where the database goes on from what ran here last, or nothing ran here before. */
  readonly restored: Restored | null;
  /** By how much the clock was behind what the database says was the time; 0 where it was not. */
  readonly setBack: number;
}

/** The database is another one than ran here last: a backup was restored, or it was moved here. */
export interface Restored {
  /** Until when the database had been written; null where it does not say. */
  readonly from: number | null;
  /** When the database that ran here last was last written; null where nothing tells. */
  readonly lostUntil: number | null;
}

/**
 * The openings of the database that are known. Numbers of the journal and of leases come again with other content after a
 * restore, and nothing in a file tells whether it is a copy. So each opening has a name, and whatever hands out a number says in
 * which one: of an opening that the database does not know, or beyond what it held at that one's end, is what was lost.
 */
export class Openings {
  readonly name: string;
  readonly #ends: ReadonlyMap<string, Extent>;

  constructor({ name, earlier }: Pick<Opened, "name" | "earlier">) {
    this.name = name;
    this.#ends = new Map(earlier.map((opening) => [opening.name, opening.end]));
  }

  /** Whether all that lies before the position is what the database holds. @param held what it holds now */
  has({ opening, seq, change }: Position, held: Extent): boolean {
    const end = opening === this.name ? held : this.#ends.get(opening);
    return end !== undefined && seq <= end.seq && change <= end.change;
  }
}
