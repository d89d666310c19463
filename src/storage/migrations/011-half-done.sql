-- 011, oldest 1: what is to be undone at the homeserver: tenants' users that came into rooms, and rooms that were not made whole

-- Tenants' users that were invited, and are to be out of their rooms again. A row is written before the user is made to do anything in
-- the room, and removed once it is out.
CREATE TABLE stand_ins (
  room_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  tenant  TEXT NOT NULL,
  -- What the room is told; null for what the moment says.
  reason  TEXT,
  tries   INTEGER NOT NULL,
  look_at INTEGER NOT NULL,
  PRIMARY KEY (room_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX stand_ins_due ON stand_ins (look_at);

-- Rooms that tenants are making. A row is written before the homeserver is asked, and removed once the tenant has the room, or nothing of
-- it is left.
CREATE TABLE room_makings (
  id      INTEGER PRIMARY KEY,
  tenant  TEXT NOT NULL,
  -- The alias that comes with the room; null where there is none, or it was there before.
  alias   TEXT,
  -- Null until the homeserver has named it.
  room_id TEXT
) STRICT;
