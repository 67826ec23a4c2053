-- Every destination holds the same objects: what is known of a repository and its snapshots is known once, and of each copy only whether it
-- is complete.
CREATE TABLE repositories_2 (
    owner TEXT PRIMARY KEY,
    repository TEXT NOT NULL,
    generation BIGINT NOT NULL,
    prefix TEXT NOT NULL,
    password BLOB NOT NULL,
    since BIGINT NOT NULL
);
INSERT INTO repositories_2 SELECT owner, repository, generation, prefix, password, since FROM repositories WHERE destination = 'default';
DROP TABLE repositories;
ALTER TABLE repositories_2 RENAME TO repositories;

CREATE TABLE catalogue_2 (
    owner TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    tree TEXT NOT NULL,
    data_tree TEXT NOT NULL,
    kind TEXT NOT NULL,
    parent TEXT,
    lineage TEXT NOT NULL,
    seq BIGINT NOT NULL,
    mark TEXT NOT NULL,
    layout BIGINT NOT NULL,
    at BIGINT NOT NULL,
    skipped TEXT NOT NULL,
    PRIMARY KEY (owner, snapshot)
);
INSERT INTO catalogue_2 SELECT owner, snapshot, tree, data_tree, kind, parent, lineage, seq, mark, layout, at, skipped FROM catalogue WHERE destination = 'default';
DROP TABLE catalogue;
ALTER TABLE catalogue_2 RENAME TO catalogue;

CREATE TABLE pins_2 (
    owner TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (owner, snapshot)
);
INSERT INTO pins_2 SELECT owner, snapshot, reason, at FROM pins WHERE destination = 'default';
DROP TABLE pins;
ALTER TABLE pins_2 RENAME TO pins;

-- `position` orders them, the nearest first; `settings` and `found` are JSON.
ALTER TABLE destinations ADD COLUMN position BIGINT NOT NULL DEFAULT 0;
ALTER TABLE destinations ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
ALTER TABLE destinations ADD COLUMN found TEXT NOT NULL DEFAULT '';

-- A copy without a row has never been complete.
CREATE TABLE copies (
    owner TEXT NOT NULL,
    destination TEXT NOT NULL,
    standing TEXT NOT NULL,
    reason TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (owner, destination)
);

-- Objects that are to be gone at every destination, also at one that was away.
CREATE TABLE condemned (
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (owner, name)
);

-- Runs that write to several destinations. One whose process is gone may have written to some of them only.
CREATE TABLE writes (
    owner TEXT NOT NULL,
    run TEXT NOT NULL,
    holder TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (owner, run)
);
