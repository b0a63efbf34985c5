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
