-- Links that somebody asked for at the command line and that a browser makes at the daemon's page. Of the token in the address only
-- its hash is kept; what is exchanged for it never comes here.

CREATE TABLE link_requests (
    token_hash TEXT NOT NULL PRIMARY KEY,
    storage_id TEXT NOT NULL REFERENCES storages (id),
    state TEXT NOT NULL,
    begun_ms BIGINT NOT NULL,
    taken_ms BIGINT,
    sentence TEXT
);
