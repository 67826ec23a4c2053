-- The objects of a repository that were written and not deleted, the same at every destination that is complete.
CREATE TABLE objects (
    owner TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (owner, name)
);

-- What the objects of a repository amounted to at the end of a day (`YYYY-MM-DD`, UTC).
CREATE TABLE sizes (
    owner TEXT COLLATE "C" NOT NULL,
    day TEXT COLLATE "C" NOT NULL,
    objects BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (owner, day)
);

-- When a pack was last read for somebody, in microseconds.
CREATE TABLE reads (
    owner TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (owner, name)
);

-- Objects that a destination keeps until an instant (microseconds), whoever asks it to delete them.
CREATE TABLE locks (
    destination TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (destination, owner, name)
);

-- Requests and bytes of a destination in a month (`YYYY-MM`, UTC).
CREATE TABLE traffic (
    destination TEXT COLLATE "C" NOT NULL,
    month TEXT COLLATE "C" NOT NULL,
    writes BIGINT NOT NULL,
    reads BIGINT NOT NULL,
    lists BIGINT NOT NULL,
    deletes BIGINT NOT NULL,
    sent BIGINT NOT NULL,
    received BIGINT NOT NULL,
    retried BIGINT NOT NULL,
    PRIMARY KEY (destination, month)
);
