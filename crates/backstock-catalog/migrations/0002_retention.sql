-- Retention: what a person wants kept, what is about to be deleted, and the policy that a person confirmed.

CREATE TABLE pins (
    backup_id TEXT NOT NULL PRIMARY KEY REFERENCES backups (id),
    note TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);

-- A mark has not touched anything yet: it can be taken back. What is being deleted has its state in replicas.
CREATE TABLE marks (
    backup_id TEXT NOT NULL,
    storage_id TEXT NOT NULL,
    cause TEXT NOT NULL,
    marked_ms BIGINT NOT NULL,
    PRIMARY KEY (backup_id, storage_id),
    FOREIGN KEY (backup_id, storage_id) REFERENCES replicas (backup_id, storage_id)
);

-- The policy under which backups of a set were last allowed to go at a storage, the highest sequence number then, and
-- the time of day then. No row: nobody has confirmed policy and pins since this catalog was made.
CREATE TABLE confirmations (
    set_id TEXT NOT NULL REFERENCES sets (id),
    storage_id TEXT NOT NULL REFERENCES storages (id),
    policy TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    acted_ms BIGINT NOT NULL,
    PRIMARY KEY (set_id, storage_id)
);

-- Backups that are marked or being deleted wherever they are.
CREATE VIEW going_backups AS
    SELECT backups.id FROM backups
    WHERE EXISTS (SELECT 1 FROM replicas WHERE replicas.backup_id = backups.id)
        AND NOT EXISTS (SELECT 1 FROM replicas
            WHERE replicas.backup_id = backups.id AND replicas.state <> 'deleting'
                AND NOT EXISTS (SELECT 1 FROM marks
                    WHERE marks.backup_id = replicas.backup_id AND marks.storage_id = replicas.storage_id));
