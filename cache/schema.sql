-- The index, version 3. Records are JSON unless said otherwise; digests are 32 hex digits.
-- root: the project root that a row belongs to, its path, or '' for the one whose .rules folder is the store.
CREATE TABLE IF NOT EXISTS files (            -- what stat signatures stand for
    root TEXT, path TEXT, size INT, mtime_ns INT, ctime_ns INT, inode INT, digest TEXT NOT NULL,
    PRIMARY KEY (root, path)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parsed (           -- text digest and compiler version → tables and variables
    memo TEXT PRIMARY KEY, record TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS compiled (         -- compile memo: small facts in head, SQL and canonical AST (zlib) in body
    memo TEXT PRIMARY KEY, head TEXT NOT NULL, body BLOB NOT NULL, lineage TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS schemas (          -- fingerprint and input types → output schema
    memo TEXT PRIMARY KEY, record TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contents (         -- content digest of a source → schema, rows, ingested artifact
    content TEXT PRIMARY KEY, record TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS column_digests (   -- columns of Parquet sources, digested when first read
    content TEXT, column_name TEXT, digest TEXT NOT NULL, PRIMARY KEY (content, column_name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunks (           -- digest of a column's encoded chunks → digest of its values
    chunks TEXT PRIMARY KEY, digest TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS artifacts (
    artifact TEXT PRIMARY KEY, rows INT NOT NULL, bytes INT NOT NULL, file_digest TEXT NOT NULL,
    columns TEXT NOT NULL, build TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS actions (          -- action key → artifact
    key TEXT PRIMARY KEY, artifact TEXT NOT NULL, seconds REAL NOT NULL, build TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS products (         -- the last committed state of each product and check
    root TEXT, name TEXT, artifact TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, memo TEXT NOT NULL,
    record TEXT NOT NULL, seconds REAL NOT NULL, build TEXT NOT NULL, PRIMARY KEY (root, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bags (             -- order-free digests of an artifact's columns
    artifact TEXT, columns TEXT, digest TEXT NOT NULL, PRIMARY KEY (artifact, columns)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS builds (
    root TEXT NOT NULL, build TEXT PRIMARY KEY, started TEXT NOT NULL, seconds REAL, status TEXT NOT NULL, summary TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS results (
    build TEXT, product TEXT, status TEXT NOT NULL, changed INT, reason TEXT NOT NULL, seconds REAL, artifact TEXT,
    PRIMARY KEY (build, product)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshots (        -- the states in which all was checked, compiled, built; see rules/noop.py
    root TEXT, kind TEXT CHECK (kind IN ('checked', 'compiled', 'built')), record TEXT NOT NULL,
    PRIMARY KEY (root, kind)
) WITHOUT ROWID;
