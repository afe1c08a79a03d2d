-- The first form of the catalog. The text runs on SQLite and on PostgreSQL: identifiers and JSON are TEXT, times are
-- BIGINT milliseconds since the Unix epoch (UTC), bytes that may not be UTF-8 are TEXT with \xNN escapes.

CREATE TABLE shops (
    id TEXT NOT NULL PRIMARY KEY,
    root TEXT UNIQUE,
    platform TEXT NOT NULL,
    title TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);

CREATE TABLE sets (
    id TEXT NOT NULL PRIMARY KEY,
    shop_id TEXT NOT NULL REFERENCES shops (id),
    title TEXT NOT NULL,
    definition TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    UNIQUE (shop_id, title)
);

CREATE TABLE storages (
    id TEXT NOT NULL PRIMARY KEY,
    title TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    settings TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);

-- The log. A run outlives its shop and set: the set's title is kept as it was.
CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    shop_id TEXT REFERENCES shops (id) ON DELETE SET NULL,
    set_id TEXT REFERENCES sets (id) ON DELETE SET NULL,
    set_title TEXT NOT NULL,
    outcome TEXT NOT NULL,
    started_ms BIGINT NOT NULL,
    finished_ms BIGINT,
    elapsed_ms BIGINT,
    error TEXT,
    detail TEXT NOT NULL,
    process_id BIGINT NOT NULL,
    boot_id TEXT NOT NULL
);

CREATE INDEX runs_by_outcome ON runs (outcome);
CREATE INDEX runs_by_time ON runs (started_ms);

-- The storage's title and kind are kept as they were, too.
CREATE TABLE run_destinations (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    ordinal BIGINT NOT NULL,
    storage_id TEXT REFERENCES storages (id) ON DELETE SET NULL,
    title TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (run_id, ordinal)
);

CREATE TABLE run_artifacts (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    ordinal BIGINT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    parts BIGINT NOT NULL,
    PRIMARY KEY (run_id, ordinal)
);

-- The parent and the run of a backup may be unknown here after a rebuild: no references.
CREATE TABLE backups (
    id TEXT NOT NULL PRIMARY KEY,
    shop_id TEXT NOT NULL REFERENCES shops (id),
    set_id TEXT NOT NULL REFERENCES sets (id),
    run_id TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    level TEXT NOT NULL,
    reason TEXT NOT NULL,
    content TEXT NOT NULL,
    started_ms BIGINT NOT NULL,
    finished_ms BIGINT NOT NULL,
    parent_id TEXT,
    folder TEXT NOT NULL,
    definition_hash TEXT NOT NULL,
    manifest_hash TEXT NOT NULL,
    stored_bytes BIGINT NOT NULL,
    exceptions BIGINT NOT NULL,
    notes BIGINT NOT NULL,
    detail TEXT NOT NULL
);

CREATE INDEX backups_by_set ON backups (set_id, sequence);
CREATE INDEX backups_by_shop ON backups (shop_id, started_ms);

CREATE TABLE replicas (
    backup_id TEXT NOT NULL REFERENCES backups (id),
    storage_id TEXT NOT NULL REFERENCES storages (id),
    folder TEXT NOT NULL,
    state TEXT NOT NULL,
    proof TEXT,
    checked_ms BIGINT,
    PRIMARY KEY (backup_id, storage_id)
);

-- A rebuild brings back what a backup's index names, without the run that met it.
CREATE TABLE problems (
    run_id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    backup_id TEXT,
    kind TEXT NOT NULL,
    severity TEXT NOT NULL,
    subject TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (run_id, ordinal)
);

CREATE INDEX problems_by_backup ON problems (backup_id);
