CREATE TABLE accounts_customers (
    customer_id    BLOB    PRIMARY KEY,
    name           TEXT    NOT NULL UNIQUE,
    tolerance_ns   INTEGER NOT NULL,
    revision       INTEGER NOT NULL,
    settings_entry BLOB    NOT NULL,
    version        INTEGER NOT NULL
) WITHOUT ROWID;

-- Every revision of a customer's settings with the entry that shows it: what held at an instant is asked years later.
CREATE TABLE accounts_settings (
    customer_id    BLOB    NOT NULL,
    revision       INTEGER NOT NULL,
    since          INTEGER NOT NULL,
    tolerance_ns   INTEGER NOT NULL,
    settings_entry BLOB    NOT NULL,
    PRIMARY KEY (customer_id, revision)
) WITHOUT ROWID;

CREATE TABLE accounts_operators (
    operator_id   BLOB    PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE,
    password_hash TEXT    NOT NULL,
    must_change   INTEGER NOT NULL,
    version       INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE accounts_tokens (
    token_id    BLOB    PRIMARY KEY,
    secret_hash BLOB    NOT NULL UNIQUE,
    holder      TEXT    NOT NULL,
    scopes      TEXT    NOT NULL,
    created     INTEGER NOT NULL,
    expires     INTEGER,
    revoked     INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE accounts_sessions (
    session_id  BLOB    PRIMARY KEY,
    secret_hash BLOB    NOT NULL UNIQUE,
    operator_id BLOB    NOT NULL,
    created     INTEGER NOT NULL,
    last_used   INTEGER NOT NULL,
    expires     INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE accounts_codes (
    code_id     BLOB    PRIMARY KEY,
    secret_hash BLOB    NOT NULL UNIQUE,
    kind        TEXT    NOT NULL,
    customer_id BLOB    NOT NULL,
    name        TEXT    NOT NULL,
    expires     INTEGER NOT NULL,
    used        INTEGER NOT NULL
) WITHOUT ROWID;
