-- 012, oldest 1: what tenants send

-- By transaction ID as the homeserver has it, so that a repetition is the same event whatever the homeserver remembers; and by event, for
-- whose it is. No reference to the tenant: a row may be late, and come when its tenant is gone.
CREATE TABLE sent_events (
  nr       INTEGER PRIMARY KEY,
  txn_id   TEXT NOT NULL UNIQUE,
  event_id TEXT NOT NULL,
  tenant   TEXT NOT NULL,
  persona  TEXT,
  at       INTEGER NOT NULL
) STRICT;
CREATE INDEX sent_events_by_event ON sent_events (event_id);
CREATE INDEX sent_events_of ON sent_events (tenant, nr);

-- Annotations of several users that are one at the homeserver, which lets a sender annotate an event once in one way. A row for each user's
-- own: the homeserver's event is taken back with the last of them.
CREATE TABLE shared_annotations (
  event_id TEXT PRIMARY KEY,
  real_id  TEXT NOT NULL,
  room_id  TEXT NOT NULL,
  tenant   TEXT NOT NULL,
  persona  TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX shared_annotations_as ON shared_annotations (real_id);
CREATE INDEX shared_annotations_of ON shared_annotations (tenant);
