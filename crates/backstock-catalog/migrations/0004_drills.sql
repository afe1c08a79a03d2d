-- Leases: who reads a backup just now, so that nobody deletes it meanwhile. Drills: which backup was restored into a scratch
-- place, with what result and in what time.

-- One row for each backup that a reader needs: the one it reads and what that builds on. A lease whose process has died
-- holds nothing; the next prune removes it.
CREATE TABLE leases (
    id TEXT NOT NULL,
    backup_id TEXT NOT NULL,
    taken_ms BIGINT NOT NULL,
    PRIMARY KEY (id, backup_id)
);

CREATE INDEX leases_by_backup ON leases (backup_id);

CREATE TABLE drills (
    run_id TEXT NOT NULL PRIMARY KEY,
    backup_id TEXT NOT NULL REFERENCES backups (id),
    storage_id TEXT NOT NULL REFERENCES storages (id),
    outcome TEXT NOT NULL,
    finished_ms BIGINT NOT NULL,
    elapsed_ms BIGINT NOT NULL
);

CREATE INDEX drills_by_backup ON drills (backup_id, finished_ms);
