-- 001, oldest 1: rooms and members, journal, leases and attendance, tenants, audit

-- `changed_at`: when something was last heard of the room, to the hour. `invite_at`: when the pseudouser's invite is to be looked at.
CREATE TABLE rooms (
  nr              INTEGER PRIMARY KEY,
  room_id         TEXT NOT NULL UNIQUE,
  load            TEXT NOT NULL DEFAULT 'none' CHECK (load IN ('none', 'wanted', 'loaded', 'stale')),
  load_at         INTEGER NOT NULL DEFAULT 0,
  load_generation INTEGER NOT NULL DEFAULT 0,
  load_asks       INTEGER NOT NULL DEFAULT 0,
  checked_at      INTEGER,
  review_at       INTEGER,
  review_asks     INTEGER NOT NULL DEFAULT 0,
  reviewed_at     INTEGER NOT NULL DEFAULT 0,
  weighed_at      INTEGER NOT NULL DEFAULT 0,
  own_membership  TEXT,
  own_event       TEXT,
  own_reason      TEXT,
  invite_at       INTEGER,
  changed_at      INTEGER NOT NULL DEFAULT 0,
  joined_members  INTEGER NOT NULL DEFAULT 0,
  via             TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE INDEX rooms_to_load ON rooms (load_at) WHERE load IN ('wanted', 'stale');
-- Rooms in which something changed that policy weighs: their leases are judged again.
CREATE INDEX rooms_to_review ON rooms (review_at) WHERE review_at IS NOT NULL;
CREATE INDEX rooms_attended ON rooms (own_membership) WHERE own_membership IS NOT NULL;
CREATE INDEX rooms_checked ON rooms (checked_at) WHERE load = 'loaded';
CREATE INDEX rooms_invited ON rooms (invite_at) WHERE invite_at IS NOT NULL;
CREATE INDEX rooms_outside ON rooms (changed_at) WHERE own_membership IS NOT 'join';

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

-- One row a transaction that brought something new. Its events are numbered first_seq, first_seq + 1, … The newest row is never
-- removed, so it tells the next number, and no transaction has to write that down.
CREATE TABLE journal (
  first_seq   INTEGER PRIMARY KEY,
  events      INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  txn_id      TEXT NOT NULL,
  digest      TEXT NOT NULL,
  event_ids   TEXT NOT NULL,
  body        BLOB NOT NULL
) STRICT;

CREATE TABLE cursors (consumer TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE set_aside (
  id          INTEGER PRIMARY KEY,
  received_at INTEGER NOT NULL,
  txn_id      TEXT NOT NULL,
  digest      TEXT NOT NULL,
  fault       TEXT NOT NULL,
  json        TEXT NOT NULL
) STRICT;

-- A holder has what the journal brought of the room after from_seq, up to and with to_seq. `alias` is the name it was asked by.
-- `change` numbers what happened to leases: taken, the pseudouser being there, ended. The newest row stays, so numbers only rise.
CREATE TABLE leases (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  room_nr    INTEGER NOT NULL REFERENCES rooms (nr),
  kind       TEXT NOT NULL,
  holder     TEXT NOT NULL,
  alias      TEXT,
  taken_at   INTEGER NOT NULL,
  upgrades   INTEGER NOT NULL,
  from_seq   INTEGER NOT NULL,
  change     INTEGER NOT NULL,
  expires_at INTEGER,
  ended_at   INTEGER,
  end_reason TEXT,
  to_seq     INTEGER
) STRICT;
CREATE UNIQUE INDEX leases_live ON leases (room_nr, kind, holder) WHERE ended_at IS NULL;
CREATE INDEX leases_of_holder ON leases (kind, holder) WHERE ended_at IS NULL;
CREATE INDEX leases_change ON leases (change);
CREATE INDEX leases_to_expire ON leases (expires_at) WHERE ended_at IS NULL AND expires_at IS NOT NULL;
CREATE INDEX leases_of_room ON leases (room_nr, kind, holder, from_seq, to_seq);
CREATE INDEX leases_ended ON leases (ended_at) WHERE ended_at IS NOT NULL;

-- Devices that peek (their leases' holders), by the SHA-256 of the tokens that they show.
CREATE TABLE peek_tokens (
  nr         INTEGER PRIMARY KEY AUTOINCREMENT,
  token_hash TEXT NOT NULL UNIQUE,
  device     TEXT NOT NULL
) STRICT;
CREATE INDEX peek_tokens_of ON peek_tokens (device);

-- `hurry` 1: somebody waits for what is to be done there. The keeper takes these first, and in turn by who waits.
CREATE TABLE attendance (
  room_nr    INTEGER PRIMARY KEY REFERENCES rooms (nr),
  phase      TEXT NOT NULL,
  since      INTEGER NOT NULL,
  tries      INTEGER NOT NULL DEFAULT 0,
  next_at    INTEGER,
  retry_at   INTEGER,
  leave_at   INTEGER,
  code       TEXT,
  reason     TEXT,
  stirs      INTEGER NOT NULL DEFAULT 0,
  hurry      INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX attendance_due ON attendance (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX attendance_hurried ON attendance (next_at) WHERE hurry = 1;
CREATE INDEX attendance_joining ON attendance (room_nr) WHERE phase = 'joining';

-- Rooms that are kept away from until a time; each strike makes the next time twice as long. `forget_at`: a strike after that is
-- the first again.
CREATE TABLE cool_downs (
  room_nr   INTEGER NOT NULL REFERENCES rooms (nr),
  code      TEXT NOT NULL,
  reason    TEXT NOT NULL,
  strikes   INTEGER NOT NULL,
  until     INTEGER NOT NULL,
  forget_at INTEGER NOT NULL,
  PRIMARY KEY (room_nr, code)
) STRICT, WITHOUT ROWID;
CREATE INDEX cool_downs_to_forget ON cool_downs (forget_at);

-- Rules about rooms, servers, users and tenants: the operator's, and those of policy lists as they were last read, by the list's room.
CREATE TABLE policy_rules (
  source  TEXT NOT NULL,
  kind    TEXT NOT NULL,
  verdict TEXT NOT NULL CHECK (verdict IN ('allow', 'deny')),
  entity  TEXT NOT NULL,
  hashed  INTEGER NOT NULL,
  reason  TEXT,
  at      INTEGER NOT NULL,
  PRIMARY KEY (source, kind, entity, hashed)
) STRICT, WITHOUT ROWID;

-- Aliases of our server, and where they point. Named by the room's ID: of a room that is not wanted nothing else need be kept.
CREATE TABLE aliases (
  alias       TEXT PRIMARY KEY,
  room_id     TEXT NOT NULL,
  state       TEXT NOT NULL,
  code        TEXT,
  reason      TEXT,
  since       INTEGER NOT NULL,
  checked_at  INTEGER NOT NULL,
  empty_since INTEGER,
  moving_to   TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_of_room ON aliases (room_id);
CREATE INDEX room_state_alias ON room_state (value) WHERE field = 'alias';

CREATE TABLE tenants (
  id         TEXT PRIMARY KEY,
  sender     TEXT NOT NULL UNIQUE,
  url        TEXT,
  users      TEXT,
  ephemeral  INTEGER NOT NULL,
  paused_at  INTEGER,
  token_hash TEXT NOT NULL UNIQUE,
  hs_salt    TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

-- What the operator allows a tenant: lists of patterns and of actions, as JSON. `types` NULL: every event type.
CREATE TABLE tenant_grants (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant     TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  rooms      TEXT NOT NULL,
  actions    TEXT NOT NULL,
  types      TEXT,
  source     TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tenant_grants_of ON tenant_grants (tenant);

-- Users of tenants that something is remembered of. Their being in a room exists here only, while the tenant's lease there lives.
CREATE TABLE personas (
  tenant      TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  user_id     TEXT NOT NULL,
  displayname TEXT,
  avatar_url  TEXT,
  PRIMARY KEY (tenant, user_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE persona_rooms (
  tenant  TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  room_nr INTEGER NOT NULL REFERENCES rooms (nr),
  user_id TEXT NOT NULL,
  PRIMARY KEY (tenant, room_nr, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX persona_rooms_of ON persona_rooms (tenant, user_id);
CREATE INDEX persona_rooms_in ON persona_rooms (room_nr);

-- The transaction that a tenant is being given: what lies between its cursor and pending_to. `epoch` rises with each replay.
CREATE TABLE deliveries (
  tenant     TEXT PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
  epoch      INTEGER NOT NULL DEFAULT 1,
  pending_to INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  at      INTEGER NOT NULL,
  actor   TEXT NOT NULL,
  action  TEXT NOT NULL,
  outcome TEXT NOT NULL,
  room_id TEXT,
  detail  TEXT NOT NULL
) STRICT;
