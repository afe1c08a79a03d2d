-- When a replica was last looked at, for each level of a check, whatever came of it: what is due follows from it.

CREATE TABLE checks (
    backup_id TEXT NOT NULL REFERENCES backups (id),
    storage_id TEXT NOT NULL REFERENCES storages (id),
    level TEXT NOT NULL,
    checked_ms BIGINT NOT NULL,
    PRIMARY KEY (backup_id, storage_id, level)
);

-- What is known of earlier ones: a proof by reading was a look at every part too.
INSERT INTO checks (backup_id, storage_id, level, checked_ms)
    SELECT backup_id, storage_id, 'present', checked_ms FROM replicas WHERE checked_ms IS NOT NULL;
INSERT INTO checks (backup_id, storage_id, level, checked_ms)
    SELECT backup_id, storage_id, 'bytes', checked_ms FROM replicas
    WHERE checked_ms IS NOT NULL AND state = 'verified' AND proof IN ('read-back', 'drilled');
