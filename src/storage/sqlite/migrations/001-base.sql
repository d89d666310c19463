-- 001, oldest 1: rooms and members, journal, leases and attendance, tenants, audit

CREATE TABLE rooms (
  nr              INTEGER PRIMARY KEY,
  room_id         TEXT NOT NULL UNIQUE,
  load            TEXT NOT NULL DEFAULT 'none' CHECK (load IN ('none', 'wanted', 'loaded', 'stale')),
  load_at         INTEGER NOT NULL DEFAULT 0,
  load_generation INTEGER NOT NULL DEFAULT 0,
  load_asks       INTEGER NOT NULL DEFAULT 0,
  checked_at      INTEGER,
  own_membership  TEXT,
  own_event       TEXT,
  joined_members  INTEGER NOT NULL DEFAULT 0,
  via             TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE INDEX rooms_to_load ON rooms (load_at) WHERE load IN ('wanted', 'stale');
CREATE INDEX rooms_attended ON rooms (own_membership) WHERE own_membership IS NOT NULL;
CREATE INDEX rooms_checked ON rooms (checked_at) WHERE load = 'loaded';

-- One row for each state field the ledger keeps. `seq` is the journal number that set it, `generation` the load that saw it last.
CREATE TABLE room_state (
  room_nr    INTEGER NOT NULL REFERENCES rooms (nr),
  field      TEXT NOT NULL,
  value      TEXT,
  event_id   TEXT NOT NULL,
  seq        INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  PRIMARY KEY (room_nr, field)
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
  room_nr     INTEGER NOT NULL REFERENCES rooms (nr),
  user_id     TEXT NOT NULL,
  membership  TEXT NOT NULL,
  event_id    TEXT NOT NULL,
  sender      TEXT NOT NULL,
  displayname TEXT,
  avatar_url  TEXT,
  seq         INTEGER NOT NULL,
  generation  INTEGER NOT NULL,
  PRIMARY KEY (room_nr, user_id)
) STRICT, WITHOUT ROWID;

-- One row a transaction that brought something new. Its events are numbered first_seq, first_seq + 1, …
CREATE TABLE journal (
  first_seq   INTEGER PRIMARY KEY,
  events      INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  txn_id      TEXT NOT NULL,
  digest      TEXT NOT NULL,
  event_ids   TEXT NOT NULL,
  body        BLOB NOT NULL
) STRICT;

-- The number after the newest event; a row of its own, so that numbers go on rising when old journal rows are removed.
CREATE TABLE journal_end (one INTEGER PRIMARY KEY CHECK (one = 1), next_seq INTEGER NOT NULL) STRICT;
INSERT INTO journal_end VALUES (1, 1);

CREATE TABLE cursors (consumer TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE set_aside (
  id          INTEGER PRIMARY KEY,
  received_at INTEGER NOT NULL,
  txn_id      TEXT NOT NULL,
  fault       TEXT NOT NULL,
  json        TEXT NOT NULL
) STRICT;

CREATE TABLE leases (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  room_nr    INTEGER NOT NULL REFERENCES rooms (nr),
  kind       TEXT NOT NULL,
  holder     TEXT NOT NULL,
  taken_at   INTEGER NOT NULL,
  expires_at INTEGER,
  ended_at   INTEGER,
  end_reason TEXT
) STRICT;
CREATE UNIQUE INDEX leases_live ON leases (room_nr, kind, holder) WHERE ended_at IS NULL;
CREATE INDEX leases_of_holder ON leases (kind, holder) WHERE ended_at IS NULL;
CREATE INDEX leases_to_expire ON leases (expires_at) WHERE ended_at IS NULL AND expires_at IS NOT NULL;
CREATE INDEX leases_ended ON leases (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE attendance (
  room_nr    INTEGER PRIMARY KEY REFERENCES rooms (nr),
  phase      TEXT NOT NULL,
  since      INTEGER NOT NULL,
  tries      INTEGER NOT NULL DEFAULT 0,
  next_at    INTEGER,
  retry_at   INTEGER,
  idle_since INTEGER,
  code       TEXT,
  reason     TEXT,
  stirs      INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX attendance_due ON attendance (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE tenants (
  id         TEXT PRIMARY KEY,
  sender     TEXT NOT NULL UNIQUE,
  url        TEXT,
  users      TEXT,
  actions    TEXT NOT NULL,
  token_hash TEXT NOT NULL UNIQUE,
  hs_salt    TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE audit (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  at      INTEGER NOT NULL,
  actor   TEXT NOT NULL,
  action  TEXT NOT NULL,
  outcome TEXT NOT NULL,
  room_id TEXT,
  detail  TEXT NOT NULL
) STRICT;
