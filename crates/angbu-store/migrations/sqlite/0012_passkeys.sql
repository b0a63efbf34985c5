-- Credential id, public key and label stand in `sealed`; the keyed hash of the credential id finds them. counter: as the authenticator
-- last said it; doubted: when it last went back.
CREATE TABLE passkeys (
    passkey_id      BLOB PRIMARY KEY,
    holder_kind     TEXT NOT NULL,
    holder_id       BLOB NOT NULL,
    customer_id     BLOB NOT NULL,
    credential_hash BLOB NOT NULL UNIQUE,
    sealed          BLOB NOT NULL,
    counter         INTEGER NOT NULL,
    synced          INTEGER NOT NULL,
    created         INTEGER NOT NULL,
    last_used       INTEGER,
    doubted         INTEGER,
    revoked         INTEGER,
    entry_id        BLOB NOT NULL,
    version         INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX passkeys_by_holder ON passkeys (holder_kind, holder_id, created);

-- Questions that wait for their answer, at whichever centre that comes in. purpose: 0 a registration, of a passkey of the holder;
-- 1 a sign-in, for the request whose id is asked_for.
CREATE TABLE passkeys_ceremonies (
    challenge BLOB PRIMARY KEY,
    purpose   INTEGER NOT NULL,
    asked_for BLOB NOT NULL,
    expires   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX passkeys_ceremonies_by_end ON passkeys_ceremonies (expires);
