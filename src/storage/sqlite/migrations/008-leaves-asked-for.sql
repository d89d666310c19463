-- 008, oldest 1: leaves that we asked for

-- 1 from before the homeserver is asked until it tells that we are out. A leave without it was somebody else's.
ALTER TABLE attendance ADD COLUMN leave_asked INTEGER NOT NULL DEFAULT 0;
UPDATE attendance SET leave_asked = 1 WHERE phase = 'leaving';
