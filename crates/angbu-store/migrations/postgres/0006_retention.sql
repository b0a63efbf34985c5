-- What is known of an agent's whole hours when its exchanges are gone; what it says stands in the entry's body.
-- compacted: the entry that says that its exchanges are deleted; done: whether all of them are.
CREATE TABLE time_summaries (
    agent_id  BYTEA  NOT NULL,
    from_at   BIGINT NOT NULL,
    to_at     BIGINT NOT NULL,
    entry_id  BYTEA  NOT NULL,
    exchanges BIGINT NOT NULL,
    compacted BYTEA,
    done      BIGINT NOT NULL,
    PRIMARY KEY (agent_id, from_at)
);

CREATE INDEX time_summaries_to_compact ON time_summaries (to_at) WHERE done = 0;
