-- closed_seq: every exchange numbered below it stands in a segment of the log. open_*: the exchanges from it on.
CREATE TABLE time_agents (
    agent_id        BLOB    PRIMARY KEY,
    customer_id     BLOB    NOT NULL,
    name            TEXT    NOT NULL,
    public_key      BLOB    NOT NULL,
    enrolment_entry BLOB    NOT NULL,
    enrolled        INTEGER NOT NULL,
    next_seq        INTEGER NOT NULL,
    last_seen       INTEGER,
    poll_ns         INTEGER,
    closed_seq      INTEGER NOT NULL,
    open_count      INTEGER NOT NULL,
    open_since      INTEGER,
    open_first_at   INTEGER,
    version         INTEGER NOT NULL,
    UNIQUE (customer_id, name)
) WITHOUT ROWID;

CREATE TABLE time_exchanges (
    agent_id  BLOB    NOT NULL,
    at        INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    offset_ns INTEGER NOT NULL,
    delay_ns  INTEGER NOT NULL,
    bound_ns  INTEGER NOT NULL,
    rate_ppb  INTEGER NOT NULL,
    flags     INTEGER NOT NULL,
    arrived   INTEGER NOT NULL,
    record    BLOB    NOT NULL,
    PRIMARY KEY (agent_id, at, seq)
) WITHOUT ROWID;

CREATE TABLE time_events (
    agent_id BLOB    NOT NULL,
    at       INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    detail   BLOB    NOT NULL,
    entry_id BLOB    NOT NULL,
    PRIMARY KEY (agent_id, at, seq)
) WITHOUT ROWID;

CREATE TABLE time_segments (
    agent_id  BLOB    NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    count     INTEGER NOT NULL,
    first_at  INTEGER NOT NULL,
    last_at   INTEGER NOT NULL,
    entry_id  BLOB    NOT NULL,
    PRIMARY KEY (agent_id, first_seq)
) WITHOUT ROWID;

-- The secrets of the time server, one a day, sealed. They stay: the proof of an exchange is checked with that of its day.
CREATE TABLE time_epochs (
    epoch  INTEGER PRIMARY KEY,
    secret BLOB    NOT NULL,
    made   INTEGER NOT NULL
);

-- The identifiers of proven exchanges: each proves one. Those that are too old to prove anything are cleared away.
CREATE TABLE time_identifiers (
    identifier BLOB    PRIMARY KEY,
    taken      INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX time_identifiers_by_age ON time_identifiers (taken);

-- When the newest proven request of an agent reached a centre: the next one is later.
CREATE TABLE time_proven (
    agent_id  BLOB    NOT NULL,
    server_id BLOB    NOT NULL,
    received  INTEGER NOT NULL,
    PRIMARY KEY (agent_id, server_id)
) WITHOUT ROWID;
