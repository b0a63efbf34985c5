-- Tokens of one-time keys, by their holders: a try finds its token in one place. revoked: when it was taken back, 0 while it was
-- not, of which whoever has a token has one. Login id, phone and secret stand in `sealed`. holder_kind: person or staff. material:
-- derived, from the person's random bytes, or secret, a secret as it is. motion: time, time-event or counter; cycle: seconds, 0 for
-- a counter.
CREATE TABLE keys_tokens (
    token_id     BLOB    NOT NULL UNIQUE,
    customer_id  BLOB    NOT NULL,
    holder_kind  TEXT    NOT NULL,
    holder_id    BLOB    NOT NULL,
    sealed       BLOB    NOT NULL,
    material     TEXT    NOT NULL,
    motion       TEXT    NOT NULL,
    cycle        INTEGER NOT NULL,
    algorithm    TEXT    NOT NULL,
    digits       INTEGER NOT NULL,
    generation   INTEGER NOT NULL,
    made         INTEGER NOT NULL,
    entry_id     BLOB    NOT NULL,
    revoked      INTEGER NOT NULL,
    last_step    INTEGER,
    last_event   INTEGER,
    last_used    INTEGER,
    drift        INTEGER NOT NULL,
    failures     INTEGER NOT NULL,
    locked_until INTEGER,
    disabled     INTEGER NOT NULL,
    replays      INTEGER NOT NULL,
    replayed     INTEGER,
    version      INTEGER NOT NULL,
    CONSTRAINT keys_tokens_holder_id_key PRIMARY KEY (holder_id, revoked)
) WITHOUT ROWID;

CREATE INDEX keys_tokens_by_customer ON keys_tokens (customer_id, token_id);

-- Whom a try is about, without a look at the person.
CREATE UNIQUE INDEX accounts_people_enabled_login_hash_key
    ON accounts_people (customer_id, login_hash) WHERE disabled = 0;

CREATE TABLE keys_recovery_codes (
    token_id  BLOB    NOT NULL,
    code_hash BLOB    NOT NULL,
    used      INTEGER,
    PRIMARY KEY (token_id, code_hash)
) WITHOUT ROWID;

-- A customer without a row has the policy that is built in.
CREATE TABLE keys_policies (
    customer_id    BLOB    PRIMARY KEY,
    back           INTEGER NOT NULL,
    ahead          INTEGER NOT NULL,
    long_cycles    INTEGER NOT NULL,
    while_unproven TEXT    NOT NULL,
    lock_after     INTEGER NOT NULL,
    lock_first     INTEGER NOT NULL,
    lock_longest   INTEGER NOT NULL,
    disable_at     INTEGER NOT NULL,
    entry_id       BLOB    NOT NULL,
    version        INTEGER NOT NULL
) WITHOUT ROWID;

-- Tries that were not judged, counted by the minute until an entry tells them. about: a token, or the prefix of a source.
CREATE TABLE keys_unjudged (
    minute      INTEGER NOT NULL,
    customer_id BLOB    NOT NULL,
    about       TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    count       INTEGER NOT NULL,
    PRIMARY KEY (minute, customer_id, about, reason)
) WITHOUT ROWID;

-- How login ids without a token stand, by a bucket of a keyed hash: no name, and so many rows and no more, whatever strangers try.
CREATE TABLE keys_strangers (
    bucket       INTEGER PRIMARY KEY,
    failures     INTEGER NOT NULL,
    locked_until INTEGER,
    disabled     INTEGER NOT NULL,
    last         INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX keys_strangers_by_age ON keys_strangers (last);
