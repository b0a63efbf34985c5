-- The origins that a relying party's browsers may return to, with a space between them.
ALTER TABLE accounts_machines ADD COLUMN origins TEXT NOT NULL DEFAULT '';

-- What relying parties ask of people. asker: the id of whoever asked, or 'console'. sealed: what is shown, whom it asks, and where
-- the browser returns to. ended*: the proven instant of its end. taken: a session was begun with it.
CREATE TABLE requests_asked (
    request_id   BLOB    PRIMARY KEY,
    customer_id  BLOB    NOT NULL,
    asker        TEXT    NOT NULL,
    machine_id   BLOB,
    purpose      TEXT    NOT NULL,
    accepted     TEXT    NOT NULL,
    secret_hash  BLOB    NOT NULL,
    sealed       BLOB    NOT NULL,
    subject_kind TEXT,
    subject_id   BLOB,
    browser_hash BLOB,
    done         TEXT    NOT NULL,
    wrong        INTEGER NOT NULL,
    started      INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    verdict      TEXT,
    ended        INTEGER,
    ended_bound  INTEGER,
    ended_clock  TEXT,
    ended_state  BLOB,
    entry_id     BLOB,
    taken        INTEGER NOT NULL,
    version      INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX requests_asked_by_time ON requests_asked (started, request_id);
CREATE INDEX requests_asked_by_customer ON requests_asked (customer_id, started, request_id);
CREATE INDEX requests_asked_open ON requests_asked (expires) WHERE verdict IS NULL;

-- Failures since an instant, by a bucket of a keyed hash over what was tried or from where: so many rows and no more, whatever
-- strangers try.
CREATE TABLE requests_tries (
    bucket   INTEGER PRIMARY KEY,
    failures INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    last     INTEGER NOT NULL
) WITHOUT ROWID;
