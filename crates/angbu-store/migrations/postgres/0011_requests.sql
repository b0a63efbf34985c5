-- The origins that a relying party's browsers may return to, with a space between them.
ALTER TABLE accounts_machines ADD COLUMN origins TEXT COLLATE "C" NOT NULL DEFAULT '';

-- What relying parties ask of people. asker: the id of whoever asked, or 'console'. sealed: what is shown, whom it asks, and where
-- the browser returns to. ended*: the proven instant of its end. taken: a session was begun with it.
CREATE TABLE requests_asked (
    request_id   BYTEA  PRIMARY KEY,
    customer_id  BYTEA  NOT NULL,
    asker        TEXT COLLATE "C" NOT NULL,
    machine_id   BYTEA,
    purpose      TEXT COLLATE "C" NOT NULL,
    accepted     TEXT COLLATE "C" NOT NULL,
    secret_hash  BYTEA  NOT NULL,
    sealed       BYTEA  NOT NULL,
    subject_kind TEXT COLLATE "C",
    subject_id   BYTEA,
    browser_hash BYTEA,
    done         TEXT COLLATE "C" NOT NULL,
    wrong        BIGINT NOT NULL,
    started      BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    verdict      TEXT COLLATE "C",
    ended        BIGINT,
    ended_bound  BIGINT,
    ended_clock  TEXT COLLATE "C",
    ended_state  BYTEA,
    entry_id     BYTEA,
    taken        BIGINT NOT NULL,
    version      BIGINT NOT NULL
);

CREATE INDEX requests_asked_by_time ON requests_asked (started, request_id);
CREATE INDEX requests_asked_by_customer ON requests_asked (customer_id, started, request_id);
CREATE INDEX requests_asked_open ON requests_asked (expires) WHERE verdict IS NULL;

-- Failures since an instant, by a bucket of a keyed hash over what was tried or from where: so many rows and no more, whatever
-- strangers try.
CREATE TABLE requests_tries (
    bucket   BIGINT PRIMARY KEY,
    failures BIGINT NOT NULL,
    since    BIGINT NOT NULL,
    last     BIGINT NOT NULL
);
