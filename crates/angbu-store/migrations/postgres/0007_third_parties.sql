-- Who has the link sees one customer's period and the report about it. The holder, for whom it was made, is sealed. told_*: what
-- the log's newest entry about its views said, and when.
CREATE TABLE time_share_links (
    share_id    BYTEA   PRIMARY KEY,
    secret_hash BYTEA   NOT NULL UNIQUE,
    customer_id BYTEA   NOT NULL,
    from_at     BIGINT NOT NULL,
    to_at       BIGINT NOT NULL,
    zone        TEXT COLLATE "C" NOT NULL,
    holder      BYTEA   NOT NULL,
    report_id   BYTEA   NOT NULL,
    created     BIGINT NOT NULL,
    expires     BIGINT NOT NULL,
    revoked     BIGINT NOT NULL,
    views       BIGINT NOT NULL,
    last_view   BIGINT,
    told_views  BIGINT NOT NULL,
    told_at     BIGINT
);

CREATE INDEX time_share_links_by_customer ON time_share_links (customer_id, created);

-- A report that is kept so that it can be fetched again. month: of those that are made by themselves, one a month. A size of zero:
-- there is no file (any more), and why says why.
CREATE TABLE time_kept_reports (
    report_id   BYTEA   PRIMARY KEY,
    customer_id BYTEA   NOT NULL,
    month       BIGINT,
    from_at     BIGINT NOT NULL,
    to_at       BIGINT NOT NULL,
    zone        TEXT COLLATE "C" NOT NULL,
    language    TEXT COLLATE "C" NOT NULL,
    made        BIGINT NOT NULL,
    size        BIGINT NOT NULL,
    why         TEXT COLLATE "C" NOT NULL,
    UNIQUE (customer_id, month)
);

CREATE INDEX time_kept_reports_by_customer ON time_kept_reports (customer_id, made);

CREATE TABLE time_report_parts (
    part_id   BYTEA   PRIMARY KEY,
    report_id BYTEA   NOT NULL,
    number    BIGINT NOT NULL,
    sealed    BYTEA   NOT NULL
);

CREATE INDEX time_report_parts_by_report ON time_report_parts (report_id, number);
