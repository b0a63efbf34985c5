-- What the newest exchange with a centre showed: 0 nothing, 1 within the tolerance, 2 outside it; and since when that is so.
-- From these alone it is seen which agents are worth a closer look.
ALTER TABLE time_agents ADD COLUMN shown INTEGER NOT NULL DEFAULT 0;
ALTER TABLE time_agents ADD COLUMN shown_since INTEGER;

-- The time zone, by its IANA name, in which a customer is told instants beside UTC.
ALTER TABLE accounts_customers ADD COLUMN zone TEXT NOT NULL DEFAULT 'UTC';

-- Alarms that came in and that no incident says yet.
CREATE TABLE time_unjudged (
    agent_id BLOB    NOT NULL,
    kind     TEXT    NOT NULL,
    since    INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    PRIMARY KEY (agent_id, kind)
) WITHOUT ROWID;

-- agent_id is zeros for the centre's own. told: what the customer was told (0 nothing, 1 the beginning, 2 the end), told_site: what
-- the operators were. settled: it has ended, and everybody was told.
CREATE TABLE time_incidents (
    incident_id  BLOB    PRIMARY KEY,
    customer_id  BLOB    NOT NULL,
    agent_id     BLOB    NOT NULL,
    kind         TEXT    NOT NULL,
    opened       INTEGER NOT NULL,
    last         INTEGER NOT NULL,
    gone_since   INTEGER,
    closed       INTEGER,
    came_back    INTEGER NOT NULL,
    told         INTEGER NOT NULL,
    told_site    INTEGER NOT NULL,
    settled      INTEGER NOT NULL,
    opened_entry BLOB    NOT NULL,
    closed_entry BLOB,
    version      INTEGER NOT NULL
) WITHOUT ROWID;

-- One of a kind at a time.
CREATE UNIQUE INDEX time_incidents_open ON time_incidents (agent_id, kind) WHERE closed IS NULL;
CREATE INDEX time_incidents_by_agent ON time_incidents (agent_id, kind, opened);
CREATE INDEX time_incidents_by_customer ON time_incidents (customer_id, opened, incident_id);
CREATE INDEX time_incidents_unsettled ON time_incidents (incident_id) WHERE settled = 0;

-- When a customer, or the operators (zeros), were last written to of incidents.
CREATE TABLE time_notices (
    customer_id BLOB    PRIMARY KEY,
    told        INTEGER NOT NULL
) WITHOUT ROWID;

-- What is written once and sent to several.
CREATE TABLE deliveries_messages (
    message_id  BLOB    PRIMARY KEY,
    customer_id BLOB    NOT NULL,
    topic       TEXT    NOT NULL,
    made        INTEGER NOT NULL,
    sealed      BLOB    NOT NULL
) WITHOUT ROWID;

-- claimed: somebody is sending it. state: 0 waits, 1 delivered, 2 given up. target: a mail address, or a webhook's id.
CREATE TABLE deliveries_queue (
    delivery_id BLOB    PRIMARY KEY,
    message_id  BLOB    NOT NULL,
    customer_id BLOB    NOT NULL,
    channel     TEXT    NOT NULL,
    target      BLOB    NOT NULL,
    made        INTEGER NOT NULL,
    due         INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    claimed     INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    ended       INTEGER,
    why         TEXT    NOT NULL
) WITHOUT ROWID;

CREATE INDEX deliveries_queue_due ON deliveries_queue (due) WHERE state = 0;
CREATE INDEX deliveries_queue_by_time ON deliveries_queue (made, delivery_id);
CREATE INDEX deliveries_queue_by_customer ON deliveries_queue (customer_id, made, delivery_id);
CREATE INDEX deliveries_queue_by_message ON deliveries_queue (message_id);

-- Where a customer's programs are told; address and secrets stand in `sealed`.
CREATE TABLE deliveries_webhooks (
    webhook_id  BLOB    PRIMARY KEY,
    customer_id BLOB    NOT NULL,
    made        INTEGER NOT NULL,
    sealed      BLOB    NOT NULL,
    version     INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX deliveries_webhooks_by_customer ON deliveries_webhooks (customer_id, made);
