-- The history in the index: never dropped, see cache/migrations.py. Records are JSON unless said otherwise; digests are
-- 32 hex digits.
-- root: the project root that a row belongs to, its path, or '' for the one whose .rules folder is the store.
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
CREATE TABLE IF NOT EXISTS builds (
    root TEXT NOT NULL, build TEXT PRIMARY KEY, started TEXT NOT NULL, seconds REAL, status TEXT NOT NULL, summary TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS results (
    build TEXT, product TEXT, status TEXT NOT NULL, changed INT, reason TEXT NOT NULL, seconds REAL, artifact TEXT,
    PRIMARY KEY (build, product)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS artifact_sizes ON artifacts (bytes);
CREATE INDEX IF NOT EXISTS action_artifacts ON actions (artifact);
CREATE TABLE IF NOT EXISTS states (           -- how a product came to be an artifact, to restore it; record: JSON in zlib
    artifact TEXT, product TEXT, key TEXT NOT NULL, fingerprint TEXT NOT NULL, memo TEXT NOT NULL, record BLOB NOT NULL,
    seconds REAL NOT NULL, build TEXT NOT NULL, PRIMARY KEY (artifact, product)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pins (             -- builds whose tables stay: of one product, or '' for all
    root TEXT, build TEXT, product TEXT, PRIMARY KEY (root, build, product)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS limits (           -- what [store] of each project root says: seconds, builds, bytes
    root TEXT PRIMARY KEY, keep_seconds REAL, keep_builds INT, max_bytes INT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS savings (          -- results that were compacted away, by month
    root TEXT, product TEXT, month TEXT, hits INT NOT NULL, misses INT NOT NULL, seconds_saved REAL NOT NULL,
    bytes_saved INT NOT NULL, seconds_spent REAL NOT NULL, PRIMARY KEY (root, product, month)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bodies (           -- compiled rule → what it executes and means, JSON in zlib: an upgrade compares
    memo TEXT PRIMARY KEY, body BLOB NOT NULL
);
