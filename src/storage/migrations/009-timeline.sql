-- 009, oldest 1: what was redacted, and how far rooms' timelines were compared with the homeserver's

-- `because`: the redaction, without what its sender wrote into it. `seq`: where it stands in the journal. `is_done`: what it redacts is
-- no longer in the journal's rows; until then it is taken out whenever they are read.
CREATE TABLE redactions (
  target  TEXT NOT NULL,
  room_id TEXT NOT NULL,
  seq     INTEGER NOT NULL,
  because TEXT NOT NULL,
  is_done INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (target, room_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX redactions_seq ON redactions (seq);
CREATE INDEX redactions_open ON redactions (seq) WHERE is_done = 0;

-- `compared_event`: up to here the room's timeline has come whole. `compared_seq`: the journal's newest number when that was found.
-- `left_event`: the last that is known of a stay before this one, until what was said between the two is fetched. `fill_at`: when that is
-- to be tried.
ALTER TABLE rooms ADD COLUMN compared_event TEXT;
ALTER TABLE rooms ADD COLUMN compared_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rooms ADD COLUMN compared_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rooms ADD COLUMN left_event TEXT;
ALTER TABLE rooms ADD COLUMN fill_at INTEGER;
ALTER TABLE rooms ADD COLUMN fill_tries INTEGER NOT NULL DEFAULT 0;
CREATE INDEX rooms_to_compare ON rooms (compared_at) WHERE own_membership = 'join';
CREATE INDEX rooms_to_fill ON rooms (fill_at) WHERE fill_at IS NOT NULL;
