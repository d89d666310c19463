-- 007, oldest 1: tenants' largest transaction, and who vouches for their servers

-- `max_transaction`: bytes, NULL for as many as usual. `ca`: certificates in PEM, NULL for the public authorities.
ALTER TABLE tenants ADD COLUMN max_transaction INTEGER;
ALTER TABLE tenants ADD COLUMN ca TEXT;
