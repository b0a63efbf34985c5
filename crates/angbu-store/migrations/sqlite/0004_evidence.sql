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

-- Entries in the order of the log, up to 256 of one batch a row, never one an entry. reach: the largest entry id in this row
-- and all before it.
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

-- The log's head: one row. note: the newest checkpoint that was kept, of the log's first `noted` entries.
-- holder: the centre that sequences, empty after one that stopped cleanly; beat: counted up for as long as it lives.
-- era: how often an operator confirmed the log; doubt: the size of a checkpoint that was seen and that this log does not
-- lead to, empty while there is none; while there is, the head does not move.
CREATE TABLE evidence_head (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    size      INTEGER NOT NULL,
    root      BLOB NOT NULL,
    epoch     INTEGER NOT NULL,
    signed_at INTEGER NOT NULL,
    note      TEXT NOT NULL,
    noted     INTEGER NOT NULL,
    holder    BLOB,
    beat      INTEGER NOT NULL,
    era       INTEGER NOT NULL,
    doubt     INTEGER,
    doubted   TEXT NOT NULL
);

-- What an operator confirmed: the log went on from `size`, and checkpoints beyond it up to `lost` are of entries that are
-- lost.
CREATE TABLE evidence_confirmations (
    era      INTEGER PRIMARY KEY,
    size     INTEGER NOT NULL,
    lost     INTEGER NOT NULL,
    entry_id BLOB NOT NULL
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

CREATE UNIQUE INDEX evidence_clock_states_by_index ON evidence_clock_states (idx);

-- hour: of which hour since 1970 it is the one hourly manifest; empty for all others.
CREATE TABLE evidence_manifests (
    entry_id BLOB PRIMARY KEY,
    size     INTEGER NOT NULL,
    leaves   BLOB NOT NULL,
    hour     INTEGER UNIQUE
) WITHOUT ROWID;

-- How many entries a customer has of each kind; last: the log index of the newest, last_at: its instant.
CREATE TABLE evidence_kinds (
    customer_id BLOB NOT NULL,
    kind        TEXT NOT NULL,
    count       INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    PRIMARY KEY (customer_id, kind)
) WITHOUT ROWID;

-- Which entries hold fields of a person, so that erasing the person finds them.
CREATE TABLE evidence_subjects (
    person_id BLOB NOT NULL,
    entry_id  BLOB NOT NULL,
    PRIMARY KEY (person_id, entry_id)
) WITHOUT ROWID;

-- Which fields of an entry were erased, and the entry that says so.
CREATE TABLE evidence_erasures (
    entry_id  BLOB NOT NULL,
    field     TEXT NOT NULL,
    erased_by BLOB NOT NULL,
    PRIMARY KEY (entry_id, field)
) WITHOUT ROWID;

-- The newest cosignature of each witness. line: as it stands in a note; trouble: why the newest try failed.
CREATE TABLE evidence_cosignatures (
    name        TEXT NOT NULL,
    key_id      BLOB NOT NULL,
    vkey        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    size        INTEGER NOT NULL,
    line        TEXT NOT NULL,
    cosigned_at INTEGER,
    trouble     TEXT,
    PRIMARY KEY (name, key_id)
) WITHOUT ROWID;
