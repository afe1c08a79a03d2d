-- How the links of storages with accounts are, as the last call told. A storage that was not called yet has no row.

CREATE TABLE links (
    storage_id TEXT NOT NULL PRIMARY KEY REFERENCES storages (id),
    is_revoked BIGINT NOT NULL,
    since_ms BIGINT NOT NULL,
    sentence TEXT,
    tried_ms BIGINT NOT NULL,
    good_ms BIGINT,
    ends_ms BIGINT
);
