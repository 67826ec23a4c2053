-- Links to exports: who has the word of one gets the files. Of the word itself only its SHA-256 is here.
CREATE TABLE shares (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    export TEXT NOT NULL,
    hash TEXT NOT NULL,
    made BIGINT NOT NULL,
    expires BIGINT,
    downloads_max BIGINT,
    passphrase TEXT,
    wrong BIGINT NOT NULL,
    locked_until BIGINT NOT NULL,
    revoked BIGINT,
    note TEXT NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX shares_id ON shares (id);

-- How often a file of a share was handed out.
CREATE TABLE share_downloads (
    owner TEXT NOT NULL,
    share TEXT NOT NULL,
    file TEXT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (owner, share, file)
);
