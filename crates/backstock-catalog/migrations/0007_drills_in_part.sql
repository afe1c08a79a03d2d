-- Whether a drill restored only what the backup's own archives hold, since nothing opened those that it builds on: no proof
-- that it can be restored.
ALTER TABLE drills ADD COLUMN in_part BIGINT NOT NULL DEFAULT 0;
