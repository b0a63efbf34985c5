-- What the newest exchange with a centre showed: 0 nothing, 1 within the tolerance, 2 outside it; and since when that is so.
-- From these alone it is seen which agents are worth a closer look.
ALTER TABLE time_agents ADD COLUMN shown BIGINT NOT NULL DEFAULT 0;
ALTER TABLE time_agents ADD COLUMN shown_since BIGINT;

-- The time zone, by its IANA name, in which a customer is told instants beside UTC.
ALTER TABLE accounts_customers ADD COLUMN zone TEXT COLLATE "C" NOT NULL DEFAULT 'UTC';

-- Alarms that came in and that no incident says yet.
CREATE TABLE time_unjudged (
    agent_id BYTEA  NOT NULL,
    kind     TEXT COLLATE "C" NOT NULL,
    since    BIGINT NOT NULL,
    last     BIGINT NOT NULL,
    PRIMARY KEY (agent_id, kind)
);

-- agent_id is zeros for the centre's own. told: what the customer was told (0 nothing, 1 the beginning, 2 the end), told_site: what
-- the operators were. settled: it has ended, and everybody was told.
CREATE TABLE time_incidents (
    incident_id  BYTEA  PRIMARY KEY,
    customer_id  BYTEA  NOT NULL,
    agent_id     BYTEA  NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    opened       BIGINT NOT NULL,
    last         BIGINT NOT NULL,
    gone_since   BIGINT,
    closed       BIGINT,
    came_back    BIGINT NOT NULL,
    told         BIGINT NOT NULL,
    told_site    BIGINT NOT NULL,
    settled      BIGINT NOT NULL,
    opened_entry BYTEA  NOT NULL,
    closed_entry BYTEA,
    version      BIGINT NOT NULL
);

-- One of a kind at a time.
CREATE UNIQUE INDEX time_incidents_open ON time_incidents (agent_id, kind) WHERE closed IS NULL;
CREATE INDEX time_incidents_by_agent ON time_incidents (agent_id, kind, opened);
CREATE INDEX time_incidents_by_customer ON time_incidents (customer_id, opened, incident_id);
CREATE INDEX time_incidents_unsettled ON time_incidents (incident_id) WHERE settled = 0;

-- When a customer, or the operators (zeros), were last written to of incidents.
CREATE TABLE time_notices (
    customer_id BYTEA  PRIMARY KEY,
    told        BIGINT NOT NULL
);

-- What is written once and sent to several.
CREATE TABLE deliveries_messages (
    message_id  BYTEA  PRIMARY KEY,
    customer_id BYTEA  NOT NULL,
    topic       TEXT COLLATE "C" NOT NULL,
    made        BIGINT NOT NULL,
    sealed      BYTEA  NOT NULL
);

-- claimed: somebody is sending it. state: 0 waits, 1 delivered, 2 given up. target: a mail address, or a webhook's id.
CREATE TABLE deliveries_queue (
    delivery_id BYTEA  PRIMARY KEY,
    message_id  BYTEA  NOT NULL,
    customer_id BYTEA  NOT NULL,
    channel     TEXT COLLATE "C" NOT NULL,
    target      BYTEA  NOT NULL,
    made        BIGINT NOT NULL,
    due         BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    claimed     BIGINT NOT NULL,
    state       BIGINT NOT NULL,
    ended       BIGINT,
    why         TEXT COLLATE "C" NOT NULL
);

CREATE INDEX deliveries_queue_due ON deliveries_queue (due) WHERE state = 0;
CREATE INDEX deliveries_queue_by_time ON deliveries_queue (made, delivery_id);
CREATE INDEX deliveries_queue_by_customer ON deliveries_queue (customer_id, made, delivery_id);
CREATE INDEX deliveries_queue_by_message ON deliveries_queue (message_id);

-- Where a customer's programs are told; address and secrets stand in `sealed`.
CREATE TABLE deliveries_webhooks (
    webhook_id  BYTEA  PRIMARY KEY,
    customer_id BYTEA  NOT NULL,
    made        BIGINT NOT NULL,
    sealed      BYTEA  NOT NULL,
    version     BIGINT NOT NULL
);

CREATE INDEX deliveries_webhooks_by_customer ON deliveries_webhooks (customer_id, made);
