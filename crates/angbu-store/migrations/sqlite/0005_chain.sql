-- The chain of an agent's records before next_seq.
ALTER TABLE time_agents ADD COLUMN chain BLOB NOT NULL DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000';

-- What agents signed with their uploads, until the records stand in a segment. chain: after the last record.
CREATE TABLE time_uploads (
    agent_id  BLOB NOT NULL,
    first_seq INTEGER NOT NULL,
    next_seq  INTEGER NOT NULL,
    records   INTEGER NOT NULL,
    arrived   INTEGER NOT NULL,
    chain     BLOB NOT NULL,
    signed    BLOB NOT NULL,
    PRIMARY KEY (agent_id, first_seq)
) WITHOUT ROWID;

-- When the reply of an agent's last exchange with a server arrived, by the agent's clock: its next request says the same.
CREATE TABLE time_arrivals (
    agent_id  BLOB NOT NULL,
    server_id BLOB NOT NULL,
    arrived   INTEGER NOT NULL,
    PRIMARY KEY (agent_id, server_id)
) WITHOUT ROWID;
