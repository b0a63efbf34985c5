-- Tokens of one-time keys, by their holders: a try finds its token in one place. revoked: when it was taken back, 0 while it was
-- not, of which whoever has a token has one. Login id, phone and secret stand in `sealed`. holder_kind: person or staff. material:
-- derived, from the person's random bytes, or secret, a secret as it is. motion: time, time-event or counter; cycle: seconds, 0 for
-- a counter.
CREATE TABLE keys_tokens (
    token_id     BYTEA   NOT NULL UNIQUE,
    customer_id  BYTEA   NOT NULL,
    holder_kind  TEXT COLLATE "C" NOT NULL,
    holder_id    BYTEA   NOT NULL,
    sealed       BYTEA   NOT NULL,
    material     TEXT COLLATE "C" NOT NULL,
    motion       TEXT COLLATE "C" NOT NULL,
    cycle        BIGINT NOT NULL,
    algorithm    TEXT COLLATE "C" NOT NULL,
    digits       BIGINT NOT NULL,
    generation   BIGINT NOT NULL,
    made         BIGINT NOT NULL,
    entry_id     BYTEA   NOT NULL,
    revoked      BIGINT NOT NULL,
    last_step    BIGINT,
    last_event   BIGINT,
    last_used    BIGINT,
    drift        BIGINT NOT NULL,
    failures     BIGINT NOT NULL,
    locked_until BIGINT,
    disabled     BIGINT NOT NULL,
    replays      BIGINT NOT NULL,
    replayed     BIGINT,
    version      BIGINT NOT NULL,
    CONSTRAINT keys_tokens_holder_id_key PRIMARY KEY (holder_id, revoked)
);

CREATE INDEX keys_tokens_by_customer ON keys_tokens (customer_id, token_id);

-- Whom a try is about, without a look at the person.
CREATE UNIQUE INDEX accounts_people_enabled_login_hash_key
    ON accounts_people (customer_id, login_hash) INCLUDE (person_id) WHERE disabled = 0;

CREATE TABLE keys_recovery_codes (
    token_id  BYTEA   NOT NULL,
    code_hash BYTEA   NOT NULL,
    used      BIGINT,
    PRIMARY KEY (token_id, code_hash)
);

-- A customer without a row has the policy that is built in.
CREATE TABLE keys_policies (
    customer_id    BYTEA   PRIMARY KEY,
    back           BIGINT NOT NULL,
    ahead          BIGINT NOT NULL,
    long_cycles    BIGINT NOT NULL,
    while_unproven TEXT COLLATE "C" NOT NULL,
    lock_after     BIGINT NOT NULL,
    lock_first     BIGINT NOT NULL,
    lock_longest   BIGINT NOT NULL,
    disable_at     BIGINT NOT NULL,
    entry_id       BYTEA   NOT NULL,
    version        BIGINT NOT NULL
);

-- Tries that were not judged, counted by the minute until an entry tells them. about: a token, or the prefix of a source.
CREATE TABLE keys_unjudged (
    minute      BIGINT NOT NULL,
    customer_id BYTEA   NOT NULL,
    about       TEXT COLLATE "C" NOT NULL,
    reason      TEXT COLLATE "C" NOT NULL,
    count       BIGINT NOT NULL,
    PRIMARY KEY (minute, customer_id, about, reason)
);

-- How login ids without a token stand, by a bucket of a keyed hash: no name, and so many rows and no more, whatever strangers try.
CREATE TABLE keys_strangers (
    bucket       BIGINT PRIMARY KEY,
    failures     BIGINT NOT NULL,
    locked_until BIGINT,
    disabled     BIGINT NOT NULL,
    last         BIGINT NOT NULL
);

CREATE INDEX keys_strangers_by_age ON keys_strangers (last);
