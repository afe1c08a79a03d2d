-- Until when a storage lets nobody delete a replica, as far as was asked of it.

CREATE TABLE locks (
    backup_id TEXT NOT NULL REFERENCES backups (id),
    storage_id TEXT NOT NULL REFERENCES storages (id),
    until_ms BIGINT NOT NULL,
    PRIMARY KEY (backup_id, storage_id)
);
