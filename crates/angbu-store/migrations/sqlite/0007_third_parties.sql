-- Who has the link sees one customer's period and the report about it. The holder, for whom it was made, is sealed. told_*: what
-- the log's newest entry about its views said, and when.
CREATE TABLE time_share_links (
    share_id    BLOB    PRIMARY KEY,
    secret_hash BLOB    NOT NULL UNIQUE,
    customer_id BLOB    NOT NULL,
    from_at     INTEGER NOT NULL,
    to_at       INTEGER NOT NULL,
    zone        TEXT    NOT NULL,
    holder      BLOB    NOT NULL,
    report_id   BLOB    NOT NULL,
    created     INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    revoked     INTEGER NOT NULL,
    views       INTEGER NOT NULL,
    last_view   INTEGER,
    told_views  INTEGER NOT NULL,
    told_at     INTEGER
) WITHOUT ROWID;

CREATE INDEX time_share_links_by_customer ON time_share_links (customer_id, created);

-- A report that is kept so that it can be fetched again. month: of those that are made by themselves, one a month. A size of zero:
-- there is no file (any more), and why says why.
CREATE TABLE time_kept_reports (
    report_id   BLOB    PRIMARY KEY,
    customer_id BLOB    NOT NULL,
    month       INTEGER,
    from_at     INTEGER NOT NULL,
    to_at       INTEGER NOT NULL,
    zone        TEXT    NOT NULL,
    language    TEXT    NOT NULL,
    made        INTEGER NOT NULL,
    size        INTEGER NOT NULL,
    why         TEXT    NOT NULL,
    UNIQUE (customer_id, month)
) WITHOUT ROWID;

CREATE INDEX time_kept_reports_by_customer ON time_kept_reports (customer_id, made);

CREATE TABLE time_report_parts (
    part_id   BLOB    PRIMARY KEY,
    report_id BLOB    NOT NULL,
    number    INTEGER NOT NULL,
    sealed    BLOB    NOT NULL
) WITHOUT ROWID;

CREATE INDEX time_report_parts_by_report ON time_report_parts (report_id, number);
