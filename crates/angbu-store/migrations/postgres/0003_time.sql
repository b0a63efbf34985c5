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
