-- The site itself, its centres, and the wrapped keys. One row in site_meta, ever.
CREATE TABLE site_meta (
    one     BIGINT           PRIMARY KEY CHECK (one = 1),
    site_id BYTEA            NOT NULL,
    origin  TEXT COLLATE "C" NOT NULL,
    created BIGINT           NOT NULL
);

CREATE TABLE site_centres (
    centre_id BYTEA            PRIMARY KEY,
    name      TEXT COLLATE "C" NOT NULL UNIQUE,
    created   BIGINT           NOT NULL,
    starts    BIGINT           NOT NULL
);

-- wrapped: the secret under the root secret; empty of a signing key that signs no more. public_key: of signing keys.
-- retired: since when nothing new bears it; then resealed counts what was sealed anew, and reached says up to where.
CREATE TABLE site_keys (
    key_id     BIGINT           PRIMARY KEY,
    purpose    TEXT COLLATE "C" NOT NULL,
    wrapped    BYTEA            NOT NULL,
    public_key BYTEA,
    created    BIGINT           NOT NULL,
    retired    BIGINT,
    resealed   BIGINT           NOT NULL,
    reached    BYTEA
);
