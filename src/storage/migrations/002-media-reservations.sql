-- 002, oldest 1: media that tenants reserved

-- Media IDs that a tenant was given and has not uploaded to (MSC2246). The homeserver takes an upload to any of them from any tenant.
CREATE TABLE media_reservations (
  media_id   TEXT PRIMARY KEY,
  tenant     TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX media_reservations_of ON media_reservations (tenant, expires_at);
CREATE INDEX media_reservations_expiring ON media_reservations (expires_at);
