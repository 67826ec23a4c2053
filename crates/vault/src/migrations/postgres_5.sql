-- Links to exports: who has the word of one gets the files. Of the word itself only its SHA-256 is here.
CREATE TABLE shares (
    owner TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    export TEXT COLLATE "C" NOT NULL,
    hash TEXT COLLATE "C" NOT NULL,
    made BIGINT NOT NULL,
    expires BIGINT,
    downloads_max BIGINT,
    passphrase TEXT COLLATE "C",
    wrong BIGINT NOT NULL,
    locked_until BIGINT NOT NULL,
    revoked BIGINT,
    note TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX shares_id ON shares (id);

-- How often a file of a share was handed out.
CREATE TABLE share_downloads (
    owner TEXT COLLATE "C" NOT NULL,
    share TEXT COLLATE "C" NOT NULL,
    file TEXT COLLATE "C" NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (owner, share, file)
);
