CREATE TABLE accounts_customers (
    customer_id    BYTEA    PRIMARY KEY,
    name           TEXT COLLATE "C" NOT NULL UNIQUE,
    tolerance_ns   BIGINT NOT NULL,
    language       TEXT COLLATE "C" NOT NULL,
    contacts       BYTEA    NOT NULL,
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

-- A customer_id of zeros reaches the whole site, here and in accounts_tokens.
CREATE TABLE accounts_staff (
    staff_id         BYTEA    PRIMARY KEY,
    name             TEXT COLLATE "C" NOT NULL UNIQUE,
    role             TEXT COLLATE "C" NOT NULL,
    customer_id      BYTEA    NOT NULL,
    password_hash    TEXT COLLATE "C" NOT NULL,
    password_expires BIGINT,
    must_change      BIGINT NOT NULL,
    language         TEXT COLLATE "C" NOT NULL,
    disabled         BIGINT NOT NULL,
    version          BIGINT NOT NULL
);

-- Login id, phone, birthday and language stand in `sealed`; the keyed hashes find them. All three are empty once the
-- person was erased.
CREATE TABLE accounts_people (
    person_id     BYTEA    PRIMARY KEY,
    customer_id   BYTEA    NOT NULL,
    login_hash    BYTEA,
    phone_hash    BYTEA,
    sealed        BYTEA,
    password_hash TEXT COLLATE "C" NOT NULL,
    entry_id      BYTEA    NOT NULL,
    enrolled      BIGINT NOT NULL,
    disabled      BIGINT NOT NULL,
    erased        BIGINT NOT NULL,
    version       BIGINT NOT NULL,
    UNIQUE (customer_id, login_hash)
);

CREATE INDEX accounts_people_by_enrolment ON accounts_people (customer_id, enrolled, person_id);

CREATE TABLE accounts_machines (
    machine_id  BYTEA    PRIMARY KEY,
    customer_id BYTEA    NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    public_key  BYTEA    NOT NULL,
    entry_id    BYTEA    NOT NULL,
    enrolled    BIGINT NOT NULL,
    disabled    BIGINT NOT NULL,
    version     BIGINT NOT NULL,
    UNIQUE (customer_id, kind, name)
);

-- A token that a machine was given when it joined ends while the machine is disabled.
CREATE TABLE accounts_tokens (
    token_id    BYTEA    PRIMARY KEY,
    secret_hash BYTEA    NOT NULL UNIQUE,
    holder      TEXT COLLATE "C" NOT NULL,
    scopes      TEXT COLLATE "C" NOT NULL,
    customer_id BYTEA    NOT NULL,
    machine_id  BYTEA,
    created     BIGINT NOT NULL,
    expires     BIGINT,
    revoked     BIGINT NOT NULL
);

CREATE TABLE accounts_sessions (
    session_id  BYTEA    PRIMARY KEY,
    secret_hash BYTEA    NOT NULL UNIQUE,
    staff_id    BYTEA    NOT NULL,
    created     BIGINT NOT NULL,
    last_used   BIGINT NOT NULL,
    expires     BIGINT NOT NULL
);

-- The name is sealed, because a person's is their login id.
CREATE TABLE accounts_codes (
    code_id     BYTEA    PRIMARY KEY,
    secret_hash BYTEA    NOT NULL UNIQUE,
    kind        TEXT COLLATE "C" NOT NULL,
    customer_id BYTEA    NOT NULL,
    name        BYTEA    NOT NULL,
    expires     BIGINT NOT NULL,
    used        BIGINT NOT NULL
);
