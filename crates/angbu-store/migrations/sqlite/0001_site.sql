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

CREATE TABLE site_keys (
    key_id  INTEGER PRIMARY KEY,
    purpose TEXT    NOT NULL,
    wrapped BLOB    NOT NULL,
    created INTEGER NOT NULL,
    retired INTEGER
);
