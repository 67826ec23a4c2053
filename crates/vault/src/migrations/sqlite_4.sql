-- Exports that were begun, with where they stand.
CREATE TABLE exports (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    began BIGINT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (owner, id)
);
