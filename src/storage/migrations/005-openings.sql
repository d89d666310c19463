-- 005, oldest 1: each opening of the database, by which transaction IDs and sync tokens are told from those of a lost time

-- What the database held when it was opened: where the numbers of this opening begin, and those of the one before it end.
CREATE TABLE openings (
  nr     INTEGER PRIMARY KEY AUTOINCREMENT,
  name   TEXT NOT NULL UNIQUE,
  at     INTEGER NOT NULL,
  seq    INTEGER NOT NULL,
  change INTEGER NOT NULL
) STRICT;

-- Written now and then while the program runs: when it last did, and how often.
CREATE TABLE heartbeat (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL, beats INTEGER NOT NULL) STRICT;

-- The opening in which the pending transaction was begun: it keeps its ID in later ones.
ALTER TABLE deliveries ADD COLUMN opening TEXT NOT NULL DEFAULT '';
