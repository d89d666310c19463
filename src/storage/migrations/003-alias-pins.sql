-- 003, oldest 1: which rooms aliases stood for when they were granted, excepted, or named as policy lists

-- `source`: config or operator for exceptions from what is denied, lists for policy lists.
CREATE TABLE alias_pins (
  source  TEXT NOT NULL,
  alias   TEXT NOT NULL,
  room_id TEXT NOT NULL,
  at      INTEGER NOT NULL,
  PRIMARY KEY (source, alias)
) STRICT, WITHOUT ROWID;

-- `moved_to`: where the alias was found to point instead when the tenant asked for it, until the operator confirms it.
CREATE TABLE grant_pins (
  grant_id INTEGER NOT NULL REFERENCES tenant_grants (id) ON DELETE CASCADE,
  alias    TEXT NOT NULL,
  room_id  TEXT NOT NULL,
  at       INTEGER NOT NULL,
  moved_to TEXT,
  moved_at INTEGER,
  PRIMARY KEY (grant_id, alias)
) STRICT, WITHOUT ROWID;
