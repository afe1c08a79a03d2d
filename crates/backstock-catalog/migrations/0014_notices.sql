-- What was told to whom: a row for each alert and notifier, which goes when its end was told too.

CREATE TABLE notices (
    alert TEXT NOT NULL,
    notifier TEXT NOT NULL,
    subject TEXT NOT NULL,
    since_ms BIGINT NOT NULL,
    told_ms BIGINT,
    tries BIGINT NOT NULL,
    tried_ms BIGINT NOT NULL,
    problem TEXT,
    PRIMARY KEY (alert, notifier)
);
