CREATE TABLE accounts_customers (
    customer_id    BYTEA    PRIMARY KEY,
    name           TEXT COLLATE "C" NOT NULL UNIQUE,
    tolerance_ns   BIGINT NOT NULL,
    revision       BIGINT NOT NULL,
    settings_entry BYTEA    NOT NULL,
    version        BIGINT NOT NULL
);

-- Every revision of a customer's settings with the entry that shows it: what held at an instant is asked years later.
CREATE TABLE accounts_settings (
    customer_id    BYTEA    NOT NULL,
    revision       BIGINT NOT NULL,
    since          BIGINT NOT NULL,
    tolerance_ns   BIGINT NOT NULL,
    settings_entry BYTEA    NOT NULL,
    PRIMARY KEY (customer_id, revision)
);

CREATE TABLE accounts_operators (
    operator_id   BYTEA    PRIMARY KEY,
    name          TEXT COLLATE "C" NOT NULL UNIQUE,
    password_hash TEXT COLLATE "C" NOT NULL,
    must_change   BIGINT NOT NULL,
    version       BIGINT NOT NULL
);

CREATE TABLE accounts_tokens (
    token_id    BYTEA    PRIMARY KEY,
    secret_hash BYTEA    NOT NULL UNIQUE,
    holder      TEXT COLLATE "C" NOT NULL,
    scopes      TEXT COLLATE "C" NOT NULL,
    created     BIGINT NOT NULL,
    expires     BIGINT,
    revoked     BIGINT NOT NULL
);

CREATE TABLE accounts_sessions (
    session_id  BYTEA    PRIMARY KEY,
    secret_hash BYTEA    NOT NULL UNIQUE,
    operator_id BYTEA    NOT NULL,
    created     BIGINT NOT NULL,
    last_used   BIGINT NOT NULL,
    expires     BIGINT NOT NULL
);

CREATE TABLE accounts_codes (
    code_id     BYTEA    PRIMARY KEY,
    secret_hash BYTEA    NOT NULL UNIQUE,
    kind        TEXT COLLATE "C" NOT NULL,
    customer_id BYTEA    NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    expires     BIGINT NOT NULL,
    used        BIGINT NOT NULL
);
