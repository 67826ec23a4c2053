-- Every destination holds the same objects: what is known of a repository and its snapshots is known once, and of each copy only whether it
-- is complete.
CREATE TABLE repositories_2 (
    owner TEXT COLLATE "C" PRIMARY KEY,
    repository TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    prefix TEXT COLLATE "C" NOT NULL,
    password BYTEA NOT NULL,
    since BIGINT NOT NULL
);
INSERT INTO repositories_2 SELECT owner, repository, generation, prefix, password, since FROM repositories WHERE destination = 'default';
DROP TABLE repositories;
ALTER TABLE repositories_2 RENAME TO repositories;

CREATE TABLE catalogue_2 (
    owner TEXT COLLATE "C" NOT NULL,
    snapshot TEXT COLLATE "C" NOT NULL,
    tree TEXT COLLATE "C" NOT NULL,
    data_tree TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    parent TEXT COLLATE "C",
    lineage TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    mark TEXT COLLATE "C" NOT NULL,
    layout BIGINT NOT NULL,
    at BIGINT NOT NULL,
    skipped TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (owner, snapshot)
);
INSERT INTO catalogue_2 SELECT owner, snapshot, tree, data_tree, kind, parent, lineage, seq, mark, layout, at, skipped FROM catalogue WHERE destination = 'default';
DROP TABLE catalogue;
ALTER TABLE catalogue_2 RENAME TO catalogue;

CREATE TABLE pins_2 (
    owner TEXT COLLATE "C" NOT NULL,
    snapshot TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
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
    owner TEXT COLLATE "C" NOT NULL,
    destination TEXT COLLATE "C" NOT NULL,
    standing TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (owner, destination)
);

-- Objects that are to be gone at every destination, also at one that was away.
CREATE TABLE condemned (
    owner TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (owner, name)
);

-- Runs that write to several destinations. One whose process is gone may have written to some of them only.
CREATE TABLE writes (
    owner TEXT COLLATE "C" NOT NULL,
    run TEXT COLLATE "C" NOT NULL,
    holder TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (owner, run)
);
