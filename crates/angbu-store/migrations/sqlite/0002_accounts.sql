CREATE TABLE accounts_customers (
    customer_id    BLOB    PRIMARY KEY,
    name           TEXT    NOT NULL UNIQUE,
    tolerance_ns   INTEGER NOT NULL,
    language       TEXT    NOT NULL,
    contacts       BLOB    NOT NULL,
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

-- A customer_id of zeros reaches the whole site, here and in accounts_tokens.
CREATE TABLE accounts_staff (
    staff_id         BLOB    PRIMARY KEY,
    name             TEXT    NOT NULL UNIQUE,
    role             TEXT    NOT NULL,
    customer_id      BLOB    NOT NULL,
    password_hash    TEXT    NOT NULL,
    password_expires INTEGER,
    must_change      INTEGER NOT NULL,
    language         TEXT    NOT NULL,
    disabled         INTEGER NOT NULL,
    version          INTEGER NOT NULL
) WITHOUT ROWID;

-- Login id, phone, birthday and language stand in `sealed`; the keyed hashes find them. All three are empty once the
-- person was erased.
CREATE TABLE accounts_people (
    person_id     BLOB    PRIMARY KEY,
    customer_id   BLOB    NOT NULL,
    login_hash    BLOB,
    phone_hash    BLOB,
    sealed        BLOB,
    password_hash TEXT    NOT NULL,
    entry_id      BLOB    NOT NULL,
    enrolled      INTEGER NOT NULL,
    disabled      INTEGER NOT NULL,
    erased        INTEGER NOT NULL,
    version       INTEGER NOT NULL,
    UNIQUE (customer_id, login_hash)
) WITHOUT ROWID;

CREATE INDEX accounts_people_by_enrolment ON accounts_people (customer_id, enrolled, person_id);

CREATE TABLE accounts_machines (
    machine_id  BLOB    PRIMARY KEY,
    customer_id BLOB    NOT NULL,
    kind        TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    public_key  BLOB    NOT NULL,
    entry_id    BLOB    NOT NULL,
    enrolled    INTEGER NOT NULL,
    disabled    INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    UNIQUE (customer_id, kind, name)
) WITHOUT ROWID;

-- A token that a machine was given when it joined ends while the machine is disabled.
CREATE TABLE accounts_tokens (
    token_id    BLOB    PRIMARY KEY,
    secret_hash BLOB    NOT NULL UNIQUE,
    holder      TEXT    NOT NULL,
    scopes      TEXT    NOT NULL,
    customer_id BLOB    NOT NULL,
    machine_id  BLOB,
    created     INTEGER NOT NULL,
    expires     INTEGER,
    revoked     INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE accounts_sessions (
    session_id  BLOB    PRIMARY KEY,
    secret_hash BLOB    NOT NULL UNIQUE,
    staff_id    BLOB    NOT NULL,
    created     INTEGER NOT NULL,
    last_used   INTEGER NOT NULL,
    expires     INTEGER NOT NULL
) WITHOUT ROWID;

-- The name is sealed, because a person's is their login id.
CREATE TABLE accounts_codes (
    code_id     BLOB    PRIMARY KEY,
    secret_hash BLOB    NOT NULL UNIQUE,
    kind        TEXT    NOT NULL,
    customer_id BLOB    NOT NULL,
    name        BLOB    NOT NULL,
    expires     INTEGER NOT NULL,
    used        INTEGER NOT NULL
) WITHOUT ROWID;
