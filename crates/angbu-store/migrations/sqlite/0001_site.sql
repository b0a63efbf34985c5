-- The site itself, its centres, and the wrapped keys. One row in site_meta, ever.
CREATE TABLE site_meta (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    site_id BLOB    NOT NULL,
    origin  TEXT    NOT NULL,
    created INTEGER NOT NULL
);

CREATE TABLE site_centres (
    centre_id BLOB    PRIMARY KEY,
    name      TEXT    NOT NULL UNIQUE,
    created   INTEGER NOT NULL,
    starts    INTEGER NOT NULL
);

-- wrapped: the secret under the root secret; empty of a signing key that signs no more. public_key: of signing keys.
-- retired: since when nothing new bears it; then resealed counts what was sealed anew, and reached says up to where.
CREATE TABLE site_keys (
    key_id     INTEGER PRIMARY KEY,
    purpose    TEXT    NOT NULL,
    wrapped    BLOB    NOT NULL,
    public_key BLOB,
    created    INTEGER NOT NULL,
    retired    INTEGER,
    resealed   INTEGER NOT NULL,
    reached    BLOB
);
