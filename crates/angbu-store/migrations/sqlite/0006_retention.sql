-- What is known of an agent's whole hours when its exchanges are gone; what it says stands in the entry's body.
-- compacted: the entry that says that its exchanges are deleted; done: whether all of them are.
CREATE TABLE time_summaries (
    agent_id  BLOB    NOT NULL,
    from_at   INTEGER NOT NULL,
    to_at     INTEGER NOT NULL,
    entry_id  BLOB    NOT NULL,
    exchanges INTEGER NOT NULL,
    compacted BLOB,
    done      INTEGER NOT NULL,
    PRIMARY KEY (agent_id, from_at)
) WITHOUT ROWID;

CREATE INDEX time_summaries_to_compact ON time_summaries (to_at) WHERE done = 0;
