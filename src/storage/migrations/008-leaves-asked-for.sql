-- 008, oldest 1: leaves that we asked for

-- `own_seen`: event IDs, a JSON list. Of our membership, learnt by asking: the transactions that bring them may come much later.
ALTER TABLE rooms ADD COLUMN own_seen TEXT NOT NULL DEFAULT '[]';

-- 1 from before the homeserver is asked until it tells that we are out. A leave without it was somebody else's.
ALTER TABLE attendance ADD COLUMN leave_asked INTEGER NOT NULL DEFAULT 0;
UPDATE attendance SET leave_asked = 1 WHERE phase = 'leaving';
