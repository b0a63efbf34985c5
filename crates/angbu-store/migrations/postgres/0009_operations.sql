-- The chain from a laboratory to this site's clocks. Calibrations: what laboratories found of its references; withdrawn: the
-- entry that says that one was recorded wrongly.
CREATE TABLE time_calibrations (
    entry_id       BYTEA    PRIMARY KEY,
    recorded       BIGINT NOT NULL,
    subject        TEXT COLLATE "C"    NOT NULL,
    laboratory     TEXT COLLATE "C"    NOT NULL,
    certificate    TEXT COLLATE "C"    NOT NULL,
    measured       BIGINT NOT NULL,
    offset_ns      BIGINT NOT NULL,
    uncertainty_ns BIGINT NOT NULL,
    coverage       BIGINT NOT NULL,
    valid_until    BIGINT NOT NULL,
    file_hash      BYTEA,
    withdrawn      BYTEA
);

-- Their certificates, sealed. A row is megabytes, so it stands apart.
CREATE TABLE time_calibration_files (
    entry_id BYTEA PRIMARY KEY,
    sealed   BYTEA NOT NULL
);

-- Each run of each centre: seen is when it was last known to run, stopped when it ended in good order.
CREATE TABLE time_runs (
    centre_id BYTEA    NOT NULL,
    run       BIGINT NOT NULL,
    version   TEXT COLLATE "C"    NOT NULL,
    started   BIGINT NOT NULL,
    seen      BIGINT NOT NULL,
    stopped   BIGINT,
    PRIMARY KEY (centre_id, run)
);

-- Each state of each centre's clock, as its entry says it. verdict: 0 unproven, 1 declared, 2 proven.
CREATE TABLE time_clock_states (
    centre_id    BYTEA    NOT NULL,
    since        BIGINT NOT NULL,
    entry_id     BYTEA    NOT NULL,
    verdict      BIGINT NOT NULL,
    reason       TEXT COLLATE "C"    NOT NULL,
    source       TEXT COLLATE "C"    NOT NULL,
    reference_id BYTEA    NOT NULL,
    stratum      BIGINT NOT NULL,
    bound_ns     BIGINT NOT NULL,
    PRIMARY KEY (centre_id, since, entry_id)
);

-- What each centre saw of each of its sources within some minutes that ended at `at`; of its own clock under the empty name.
CREATE TABLE time_sources (
    centre_id  BYTEA    NOT NULL,
    source     TEXT COLLATE "C"    NOT NULL,
    at         BIGINT NOT NULL,
    asked      BIGINT NOT NULL,
    answered   BIGINT NOT NULL,
    offset_min BIGINT NOT NULL,
    offset_max BIGINT NOT NULL,
    bound_max  BIGINT NOT NULL,
    stratum    BIGINT NOT NULL,
    PRIMARY KEY (centre_id, source, at)
);

CREATE INDEX time_sources_by_age ON time_sources (at);
