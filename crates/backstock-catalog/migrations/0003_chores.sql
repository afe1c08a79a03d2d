-- What is done once a day, and when it was done last.

CREATE TABLE chores (
    name TEXT NOT NULL PRIMARY KEY,
    done_ms BIGINT NOT NULL
);
