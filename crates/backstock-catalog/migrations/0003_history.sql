-- What is done once a day, and when it was done last.

CREATE TABLE chores (
    name TEXT NOT NULL PRIMARY KEY,
    done_ms BIGINT NOT NULL
);

-- Backups that a key signed which nobody vouches for. Whether the backup is known does not matter here.
CREATE TABLE strangers (
    backup_id TEXT NOT NULL PRIMARY KEY
);
