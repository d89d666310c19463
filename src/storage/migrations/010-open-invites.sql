-- 010, oldest 1: open invites are found, and counted by room, without going through all members

CREATE INDEX members_invited ON members (room_nr, user_id) WHERE membership = 'invite';
