-- Every owner table's primary key starts with the owner. Times are microseconds of UTC.
CREATE TABLE meta (name TEXT COLLATE "C" PRIMARY KEY, value TEXT COLLATE "C" NOT NULL);

CREATE TABLE owners (
    owner TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    record TEXT COLLATE "C" NOT NULL,
    lineage TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    mark TEXT COLLATE "C" NOT NULL,
    last_at BIGINT NOT NULL,
    indexed_seq BIGINT NOT NULL,
    memories BIGINT NOT NULL
);

-- `record` is the canonical JSON line of the bundle; the other columns are what is searched, sorted and joined by.
-- `shard` is the first 64 bits of SHA-256(id), shifted so that signed order is unsigned order.
CREATE TABLE memories (
    owner TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    day TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    sort_at BIGINT NOT NULL,
    source_key TEXT COLLATE "C",
    trashed_at BIGINT,
    bytes BIGINT NOT NULL,
    record TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX memories_by_day ON memories (owner, day, shard, trashed_at, bytes);
CREATE INDEX memories_by_time ON memories (owner, sort_at, id);
CREATE INDEX memories_by_source ON memories (owner, source_key) WHERE source_key IS NOT NULL;
CREATE INDEX memories_in_trash ON memories (owner, trashed_at) WHERE trashed_at IS NOT NULL;

-- The media of memories that are not in the trash, by their path in the bundle.
CREATE TABLE attachments (
    owner TEXT COLLATE "C" NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    memory TEXT COLLATE "C" NOT NULL,
    sha256 TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (owner, path, memory)
);
CREATE INDEX attachments_by_memory ON attachments (owner, memory);
CREATE INDEX attachments_by_digest ON attachments (owner, sha256);

-- Collections, people, places, tags, consents and insights.
CREATE TABLE entities (
    owner TEXT COLLATE "C" NOT NULL,
    entity TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    record TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (owner, entity, id)
);
CREATE INDEX entities_by_name ON entities (owner, entity, name);

CREATE TABLE journal (
    owner TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    mark TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    entity TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    op TEXT COLLATE "C" NOT NULL,
    paths TEXT COLLATE "C" NOT NULL,
    before TEXT COLLATE "C",
    PRIMARY KEY (owner, seq)
);
CREATE INDEX journal_by_thing ON journal (owner, entity, id, seq) WHERE op <> 'created';

-- Media that superseded versions in the journal name.
CREATE TABLE journal_media (
    owner TEXT COLLATE "C" NOT NULL,
    sha256 TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (owner, sha256, seq)
);

CREATE TABLE media (
    owner TEXT COLLATE "C" NOT NULL,
    sha256 TEXT COLLATE "C" NOT NULL,
    bytes BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (owner, sha256)
);

-- What left for good, by source key and by `id:` with the memory's id: a later import or restore asks here first.
CREATE TABLE gone (
    owner TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    why TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (owner, name)
);

CREATE TABLE audit (
    id TEXT COLLATE "C" PRIMARY KEY,
    at BIGINT NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    verb TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL
);

CREATE TABLE debts (
    owner TEXT COLLATE "C" NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (owner, path)
);

CREATE TABLE destinations (
    name TEXT COLLATE "C" PRIMARY KEY,
    url TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL
);

-- One row per repository and destination; the owner of the system repository is the empty text.
CREATE TABLE repositories (
    owner TEXT COLLATE "C" NOT NULL,
    destination TEXT COLLATE "C" NOT NULL,
    repository TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    prefix TEXT COLLATE "C" NOT NULL,
    password BYTEA NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (owner, destination)
);

CREATE TABLE catalogue (
    owner TEXT COLLATE "C" NOT NULL,
    destination TEXT COLLATE "C" NOT NULL,
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
    name TEXT COLLATE "C" PRIMARY KEY,
    token TEXT COLLATE "C" NOT NULL,
    holder TEXT COLLATE "C" NOT NULL,
    until BIGINT NOT NULL
);

-- Terms are made by the program and stored as they are.
CREATE TABLE search_docs (
    owner TEXT COLLATE "C" NOT NULL,
    memory TEXT COLLATE "C" NOT NULL,
    terms TSVECTOR NOT NULL,
    PRIMARY KEY (owner, memory)
);
CREATE INDEX search_docs_by_term ON search_docs USING GIN (terms);
