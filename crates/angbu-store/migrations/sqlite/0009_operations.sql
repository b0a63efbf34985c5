-- The chain from a laboratory to this site's clocks. Calibrations: what laboratories found of its references; withdrawn: the
-- entry that says that one was recorded wrongly.
CREATE TABLE time_calibrations (
    entry_id       BLOB    PRIMARY KEY,
    recorded       INTEGER NOT NULL,
    subject        TEXT    NOT NULL,
    laboratory     TEXT    NOT NULL,
    certificate    TEXT    NOT NULL,
    measured       INTEGER NOT NULL,
    offset_ns      INTEGER NOT NULL,
    uncertainty_ns INTEGER NOT NULL,
    coverage       INTEGER NOT NULL,
    valid_until    INTEGER NOT NULL,
    file_hash      BLOB,
    withdrawn      BLOB
) WITHOUT ROWID;

-- Their certificates, sealed. A row is megabytes, so it stands apart.
CREATE TABLE time_calibration_files (
    entry_id BLOB PRIMARY KEY,
    sealed   BLOB NOT NULL
);

-- Each run of each centre: seen is when it was last known to run, stopped when it ended in good order.
CREATE TABLE time_runs (
    centre_id BLOB    NOT NULL,
    run       INTEGER NOT NULL,
    version   TEXT    NOT NULL,
    started   INTEGER NOT NULL,
    seen      INTEGER NOT NULL,
    stopped   INTEGER,
    PRIMARY KEY (centre_id, run)
) WITHOUT ROWID;

-- Each state of each centre's clock, as its entry says it. verdict: 0 unproven, 1 declared, 2 proven.
CREATE TABLE time_clock_states (
    centre_id    BLOB    NOT NULL,
    since        INTEGER NOT NULL,
    entry_id     BLOB    NOT NULL,
    verdict      INTEGER NOT NULL,
    reason       TEXT    NOT NULL,
    source       TEXT    NOT NULL,
    reference_id BLOB    NOT NULL,
    stratum      INTEGER NOT NULL,
    bound_ns     INTEGER NOT NULL,
    PRIMARY KEY (centre_id, since, entry_id)
) WITHOUT ROWID;

-- What each centre saw of each of its sources within some minutes that ended at `at`; of its own clock under the empty name.
CREATE TABLE time_sources (
    centre_id  BLOB    NOT NULL,
    source     TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    asked      INTEGER NOT NULL,
    answered   INTEGER NOT NULL,
    offset_min INTEGER NOT NULL,
    offset_max INTEGER NOT NULL,
    bound_max  INTEGER NOT NULL,
    stratum    INTEGER NOT NULL,
    PRIMARY KEY (centre_id, source, at)
) WITHOUT ROWID;

CREATE INDEX time_sources_by_age ON time_sources (at);
