-- What was committed and the sequencer has not yet put into the tree: one row a commit, in the order of commits.
CREATE TABLE evidence_outbox (
    seq    INTEGER PRIMARY KEY,
    drafts BLOB    NOT NULL
);

-- Salts and values of an entry's fields, sealed.
CREATE TABLE evidence_bodies (
    entry_id BLOB PRIMARY KEY,
    sealed   BLOB NOT NULL
) WITHOUT ROWID;

-- One row a batch, never one an entry. reach: the largest entry id in this batch and all before it.
CREATE TABLE evidence_batches (
    first  INTEGER PRIMARY KEY,
    count  INTEGER NOT NULL,
    min_id BLOB    NOT NULL,
    max_id BLOB    NOT NULL,
    reach  BLOB    NOT NULL,
    bundle BLOB    NOT NULL
);

CREATE INDEX evidence_batches_by_id ON evidence_batches (reach, first, min_id, max_id);

-- Tiles of the tree as C2SP tlog-tiles has them; the rightmost of each level is partial.
CREATE TABLE evidence_tiles (
    level  INTEGER NOT NULL,
    idx    INTEGER NOT NULL,
    hashes BLOB    NOT NULL,
    PRIMARY KEY (level, idx)
);

-- The log's head: one row. note: the newest checkpoint that was kept, which can be of an earlier head.
CREATE TABLE evidence_head (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    size      INTEGER NOT NULL,
    root      BLOB    NOT NULL,
    epoch     INTEGER NOT NULL,
    signed_at INTEGER NOT NULL,
    note      TEXT    NOT NULL
);

CREATE TABLE evidence_counters (
    customer_id BLOB    PRIMARY KEY,
    count       INTEGER NOT NULL,
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL
) WITHOUT ROWID;

-- Where a customer's entries stand: one row for what one batch brought of one customer.
-- number: its first running number; reach: the latest instant of the customer's entries up to and with this row.
CREATE TABLE evidence_runs (
    customer_id BLOB    NOT NULL,
    number      INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    first       INTEGER NOT NULL,
    reach       INTEGER NOT NULL,
    stretches   BLOB    NOT NULL,
    PRIMARY KEY (customer_id, number)
) WITHOUT ROWID;

-- Every clock state that was appended; idx is empty while it waits in the outbox.
CREATE TABLE evidence_clock_states (
    entry_id BLOB    PRIMARY KEY,
    idx      INTEGER
) WITHOUT ROWID;

CREATE TABLE evidence_manifests (
    entry_id BLOB    PRIMARY KEY,
    size     INTEGER NOT NULL,
    leaves   BLOB    NOT NULL
) WITHOUT ROWID;
