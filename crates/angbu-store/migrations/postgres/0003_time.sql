-- closed_seq: every exchange numbered below it stands in a segment of the log. open_*: the exchanges from it on.
CREATE TABLE time_agents (
    agent_id        BYTEA            PRIMARY KEY,
    customer_id     BYTEA            NOT NULL,
    name            TEXT COLLATE "C" NOT NULL,
    public_key      BYTEA            NOT NULL,
    enrolment_entry BYTEA            NOT NULL,
    enrolled        BIGINT           NOT NULL,
    next_seq        BIGINT           NOT NULL,
    last_seen       BIGINT,
    poll_ns         BIGINT,
    closed_seq      BIGINT           NOT NULL,
    open_count      BIGINT           NOT NULL,
    open_since      BIGINT,
    open_first_at   BIGINT,
    version         BIGINT           NOT NULL,
    UNIQUE (customer_id, name)
);

CREATE TABLE time_exchanges (
    agent_id  BYTEA  NOT NULL,
    at        BIGINT NOT NULL,
    seq       BIGINT NOT NULL,
    offset_ns BIGINT NOT NULL,
    delay_ns  BIGINT NOT NULL,
    bound_ns  BIGINT NOT NULL,
    rate_ppb  BIGINT NOT NULL,
    flags     BIGINT NOT NULL,
    arrived   BIGINT NOT NULL,
    record    BYTEA  NOT NULL,
    PRIMARY KEY (agent_id, at, seq)
) PARTITION BY RANGE (at);

-- What belongs to no month that was made ahead: instants long past, or of a clock that is far off.
CREATE TABLE time_exchanges_other PARTITION OF time_exchanges DEFAULT;

CREATE TABLE time_events (
    agent_id BYTEA            NOT NULL,
    at       BIGINT           NOT NULL,
    seq      BIGINT           NOT NULL,
    kind     TEXT COLLATE "C" NOT NULL,
    detail   BYTEA            NOT NULL,
    entry_id BYTEA            NOT NULL,
    PRIMARY KEY (agent_id, at, seq)
) PARTITION BY RANGE (at);

-- What belongs to no month that was made ahead: instants long past, or of a clock that is far off.
CREATE TABLE time_events_other PARTITION OF time_events DEFAULT;

CREATE TABLE time_segments (
    agent_id  BYTEA  NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq  BIGINT NOT NULL,
    count     BIGINT NOT NULL,
    first_at  BIGINT NOT NULL,
    last_at   BIGINT NOT NULL,
    entry_id  BYTEA  NOT NULL,
    PRIMARY KEY (agent_id, first_seq)
);

-- The secrets of the time server, one a day, sealed. They stay: the proof of an exchange is checked with that of its day.
CREATE TABLE time_epochs (
    epoch  BIGINT PRIMARY KEY,
    secret BYTEA  NOT NULL,
    made   BIGINT NOT NULL
);

-- The identifiers of proven exchanges: each proves one. Those that are too old to prove anything are cleared away.
CREATE TABLE time_identifiers (
    identifier BYTEA  PRIMARY KEY,
    taken      BIGINT NOT NULL
);

CREATE INDEX time_identifiers_by_age ON time_identifiers (taken);

-- When the newest proven request of an agent reached a centre: the next one is later.
CREATE TABLE time_proven (
    agent_id  BYTEA  NOT NULL,
    server_id BYTEA  NOT NULL,
    received  BIGINT NOT NULL,
    PRIMARY KEY (agent_id, server_id)
);
