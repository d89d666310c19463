-- 004, oldest 1: upgrades of rooms are looked into before leases follow them

-- `upgrade_at`: when it is to be looked whether the room's leases may follow to the room that replaces it. `upgrade_asks` counts what
-- called for that, `upgrade_tries` the looks in vain since `upgrade_since`; `upgraded_at` is the newest look.
-- `claims`: the room that the one we are invited to says it replaces. The inviter says so, and proves nothing by it.
ALTER TABLE rooms ADD COLUMN upgrade_at INTEGER;
ALTER TABLE rooms ADD COLUMN upgrade_asks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rooms ADD COLUMN upgrade_tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rooms ADD COLUMN upgrade_since INTEGER;
ALTER TABLE rooms ADD COLUMN upgraded_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rooms ADD COLUMN claims TEXT;
CREATE INDEX rooms_to_upgrade ON rooms (upgrade_at) WHERE upgrade_at IS NOT NULL;
CREATE INDEX room_state_replacement ON room_state (value) WHERE field = 'replacement';
