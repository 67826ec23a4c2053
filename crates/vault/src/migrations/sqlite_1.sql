-- Every owner table's primary key starts with the owner. Times are microseconds of UTC.
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE owners (
    owner TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL,
    lineage TEXT NOT NULL,
    seq BIGINT NOT NULL,
    mark TEXT NOT NULL,
    last_at BIGINT NOT NULL,
    indexed_seq BIGINT NOT NULL,
    memories BIGINT NOT NULL
);

-- `record` is the canonical JSON line of the bundle; the other columns are what is searched, sorted and joined by.
-- `shard` is the first 64 bits of SHA-256(id), shifted so that signed order is unsigned order.
CREATE TABLE memories (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    day TEXT NOT NULL,
    shard BIGINT NOT NULL,
    sort_at BIGINT NOT NULL,
    source_key TEXT,
    trashed_at BIGINT,
    bytes BIGINT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX memories_by_day ON memories (owner, day, shard, trashed_at, bytes);
CREATE INDEX memories_by_time ON memories (owner, sort_at, id);
CREATE INDEX memories_by_source ON memories (owner, source_key) WHERE source_key IS NOT NULL;
CREATE INDEX memories_in_trash ON memories (owner, trashed_at) WHERE trashed_at IS NOT NULL;

-- The media of memories that are not in the trash, by their path in the bundle.
CREATE TABLE attachments (
    owner TEXT NOT NULL,
    path TEXT NOT NULL,
    memory TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (owner, path, memory)
);
CREATE INDEX attachments_by_memory ON attachments (owner, memory);
CREATE INDEX attachments_by_digest ON attachments (owner, sha256);

-- Collections, people, places, tags, consents and insights.
CREATE TABLE entities (
    owner TEXT NOT NULL,
    entity TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (owner, entity, id)
);
CREATE INDEX entities_by_name ON entities (owner, entity, name);

CREATE TABLE journal (
    owner TEXT NOT NULL,
    seq BIGINT NOT NULL,
    mark TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    entity TEXT NOT NULL,
    id TEXT NOT NULL,
    op TEXT NOT NULL,
    paths TEXT NOT NULL,
    before TEXT,
    PRIMARY KEY (owner, seq)
);
CREATE INDEX journal_by_thing ON journal (owner, entity, id, seq) WHERE op <> 'created';

-- Media that superseded versions in the journal name.
CREATE TABLE journal_media (
    owner TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (owner, sha256, seq)
);

CREATE TABLE media (
    owner TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    state TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (owner, sha256)
);

-- What left for good, by source key and by `id:` with the memory's id: a later import or restore asks here first.
CREATE TABLE gone (
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    why TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (owner, name)
);

CREATE TABLE audit (
    id TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    owner TEXT NOT NULL,
    actor TEXT NOT NULL,
    verb TEXT NOT NULL,
    subject TEXT NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL
);

CREATE TABLE debts (
    owner TEXT NOT NULL,
    path TEXT NOT NULL,
    reason TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (owner, path)
);

CREATE TABLE destinations (
    name TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    since BIGINT NOT NULL
);

-- One row per repository and destination; the owner of the system repository is the empty text.
CREATE TABLE repositories (
    owner TEXT NOT NULL,
    destination TEXT NOT NULL,
    repository TEXT NOT NULL,
    generation BIGINT NOT NULL,
    prefix TEXT NOT NULL,
    password BLOB NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (owner, destination)
);

CREATE TABLE catalogue (
    owner TEXT NOT NULL,
    destination TEXT NOT NULL,
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
    PRIMARY KEY (owner, destination, snapshot)
);

-- Snapshots that no rotation may forget.
CREATE TABLE pins (
    owner TEXT NOT NULL,
    destination TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (owner, destination, snapshot)
);

CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    token TEXT NOT NULL,
    holder TEXT NOT NULL,
    until BIGINT NOT NULL
);

-- Terms are made by the program; the tokenizer only splits them at spaces.
CREATE TABLE search_docs (doc INTEGER PRIMARY KEY, owner TEXT NOT NULL, memory TEXT NOT NULL, UNIQUE (owner, memory));
CREATE VIRTUAL TABLE search USING fts5(terms, content='', contentless_delete=1, tokenize='ascii', detail='none');
INSERT INTO search(search, rank) VALUES ('secure-delete', 1);
