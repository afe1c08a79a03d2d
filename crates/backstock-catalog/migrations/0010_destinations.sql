-- Where else the backups of a set go: each row is copied to after the first place has the backup. One row for each storage.

CREATE TABLE destinations (
    id TEXT NOT NULL PRIMARY KEY,
    set_id TEXT NOT NULL REFERENCES sets (id),
    storage_id TEXT NOT NULL REFERENCES storages (id),
    path TEXT NOT NULL,
    copies BIGINT,
    is_on BIGINT NOT NULL,
    settings TEXT NOT NULL,
    begun_ms BIGINT,
    created_ms BIGINT NOT NULL,
    UNIQUE (set_id, storage_id)
);

-- A replica that is still to be made holds nothing: a backup is on its way out when all that is there of it is.
DROP VIEW going_backups;
CREATE VIEW going_backups AS
    SELECT backups.id FROM backups
    WHERE EXISTS (SELECT 1 FROM replicas WHERE replicas.backup_id = backups.id
            AND replicas.state NOT IN ('absent', 'uploading', 'waiting-for-parent'))
        AND NOT EXISTS (SELECT 1 FROM replicas
            WHERE replicas.backup_id = backups.id
                AND replicas.state NOT IN ('deleting', 'absent', 'uploading', 'waiting-for-parent')
                AND NOT EXISTS (SELECT 1 FROM marks
                    WHERE marks.backup_id = replicas.backup_id AND marks.storage_id = replicas.storage_id));
