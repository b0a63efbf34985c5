-- The chain of an agent's records before next_seq.
ALTER TABLE time_agents ADD COLUMN chain BYTEA NOT NULL DEFAULT '\x0000000000000000000000000000000000000000000000000000000000000000';

-- What agents signed with their uploads, until the records stand in a segment. chain: after the last record.
CREATE TABLE time_uploads (
    agent_id  BYTEA NOT NULL,
    first_seq BIGINT NOT NULL,
    next_seq  BIGINT NOT NULL,
    records   BIGINT NOT NULL,
    arrived   BIGINT NOT NULL,
    chain     BYTEA NOT NULL,
    signed    BYTEA NOT NULL,
    PRIMARY KEY (agent_id, first_seq)
);

-- When the reply of an agent's last exchange with a server arrived, by the agent's clock: its next request says the same.
CREATE TABLE time_arrivals (
    agent_id  BYTEA NOT NULL,
    server_id BYTEA NOT NULL,
    arrived   BIGINT NOT NULL,
    PRIMARY KEY (agent_id, server_id)
);
