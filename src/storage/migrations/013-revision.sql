-- 013, oldest 13: the count of causes is a revision

ALTER TABLE attendance RENAME COLUMN stirs TO revision;
