-- 006, oldest 1: how many members rooms have of each server

-- Users that have joined or are invited, without pseudousers (@:server). Triggers keep the counts, in the commit of the member: so does
-- every writer, also one that is yet to be written.
CREATE TABLE room_servers (
  room_nr INTEGER NOT NULL REFERENCES rooms (nr),
  server  TEXT NOT NULL,
  members INTEGER NOT NULL CHECK (members > 0),
  PRIMARY KEY (room_nr, server)
) STRICT, WITHOUT ROWID;

INSERT INTO room_servers (room_nr, server, members)
  SELECT room_nr, substr(user_id, instr(user_id, ':') + 1) AS server, count(*) FROM members
  WHERE membership IN ('join', 'invite') AND user_id NOT LIKE '@:%' GROUP BY room_nr, server;

CREATE TRIGGER member_added AFTER INSERT ON members
  WHEN NEW.membership IN ('join', 'invite') AND NEW.user_id NOT LIKE '@:%'
BEGIN
  INSERT INTO room_servers (room_nr, server, members)
    VALUES (NEW.room_nr, substr(NEW.user_id, instr(NEW.user_id, ':') + 1), 1)
    ON CONFLICT (room_nr, server) DO UPDATE SET members = members + 1;
END;

CREATE TRIGGER member_came AFTER UPDATE OF membership ON members
  WHEN NEW.membership IN ('join', 'invite') AND OLD.membership NOT IN ('join', 'invite') AND NEW.user_id NOT LIKE '@:%'
BEGIN
  INSERT INTO room_servers (room_nr, server, members)
    VALUES (NEW.room_nr, substr(NEW.user_id, instr(NEW.user_id, ':') + 1), 1)
    ON CONFLICT (room_nr, server) DO UPDATE SET members = members + 1;
END;

CREATE TRIGGER member_went AFTER UPDATE OF membership ON members
  WHEN OLD.membership IN ('join', 'invite') AND NEW.membership NOT IN ('join', 'invite') AND OLD.user_id NOT LIKE '@:%'
BEGIN
  DELETE FROM room_servers
    WHERE room_nr = OLD.room_nr AND server = substr(OLD.user_id, instr(OLD.user_id, ':') + 1) AND members = 1;
  UPDATE room_servers SET members = members - 1
    WHERE room_nr = OLD.room_nr AND server = substr(OLD.user_id, instr(OLD.user_id, ':') + 1);
END;

CREATE TRIGGER member_removed AFTER DELETE ON members
  WHEN OLD.membership IN ('join', 'invite') AND OLD.user_id NOT LIKE '@:%'
BEGIN
  DELETE FROM room_servers
    WHERE room_nr = OLD.room_nr AND server = substr(OLD.user_id, instr(OLD.user_id, ':') + 1) AND members = 1;
  UPDATE room_servers SET members = members - 1
    WHERE room_nr = OLD.room_nr AND server = substr(OLD.user_id, instr(OLD.user_id, ':') + 1);
END;
