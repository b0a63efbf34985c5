-- Credential id, public key and label stand in `sealed`; the keyed hash of the credential id finds them. counter: as the authenticator
-- last said it; doubted: when it last went back.
CREATE TABLE passkeys (
    passkey_id      BYTEA PRIMARY KEY,
    holder_kind     TEXT COLLATE "C" NOT NULL,
    holder_id       BYTEA NOT NULL,
    customer_id     BYTEA NOT NULL,
    credential_hash BYTEA NOT NULL UNIQUE,
    sealed          BYTEA NOT NULL,
    counter         BIGINT NOT NULL,
    synced          BIGINT NOT NULL,
    created         BIGINT NOT NULL,
    last_used       BIGINT,
    doubted         BIGINT,
    revoked         BIGINT,
    entry_id        BYTEA NOT NULL,
    version         BIGINT NOT NULL
);

CREATE INDEX passkeys_by_holder ON passkeys (holder_kind, holder_id, created);

-- Questions that wait for their answer, at whichever centre that comes in. purpose: 0 a registration, of a passkey of the holder;
-- 1 a sign-in, for the request whose id is asked_for.
CREATE TABLE passkeys_ceremonies (
    challenge BYTEA PRIMARY KEY,
    purpose   BIGINT NOT NULL,
    asked_for BYTEA NOT NULL,
    expires   BIGINT NOT NULL
);

CREATE INDEX passkeys_ceremonies_by_end ON passkeys_ceremonies (expires);
