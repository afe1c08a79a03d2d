-- What a person has looked at: suspect backups that are as they should be, and exceptions that the backups of a set may have.

CREATE TABLE confirmed_backups (
    backup_id TEXT NOT NULL PRIMARY KEY REFERENCES backups (id),
    confirmed_ms BIGINT NOT NULL
);

CREATE TABLE accepted_exceptions (
    set_id TEXT NOT NULL REFERENCES sets (id),
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    accepted_ms BIGINT NOT NULL,
    PRIMARY KEY (set_id, kind, subject)
);
