-- The memos in the index: what can be worked out again. Records are JSON unless said otherwise; digests are 32 hex digits.
-- root: the project root that a row belongs to, its path, or '' for the one whose .rules folder is the store.
CREATE TABLE IF NOT EXISTS files (            -- what stat signatures stand for
    root TEXT, path TEXT, size INT, mtime_ns INT, ctime_ns INT, inode INT, digest TEXT NOT NULL,
    PRIMARY KEY (root, path)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parsed (           -- text digest and compiler version → tables and variables
    memo TEXT PRIMARY KEY, record TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS proofs (           -- table and memo → proof that a process of this user's has written the record
    kind TEXT, memo TEXT, proof TEXT NOT NULL, PRIMARY KEY (kind, memo)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS memo_version (     -- of the tables in this file
    one INT PRIMARY KEY CHECK (one = 1), version INT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS compiled (         -- compile memo → small facts and column lineage; its body is in history.sql
    memo TEXT PRIMARY KEY, head TEXT NOT NULL, lineage TEXT NOT NULL
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
CREATE TABLE IF NOT EXISTS ranges (           -- digest of a column of a part → the ranges that its values lie in
    memo TEXT PRIMARY KEY, record TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS readings (         -- meaning of a rule and its inputs' types → how it reads each input by parts
    memo TEXT PRIMARY KEY, record TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tested (           -- a rule, the rows of a unit test and those expected of them → it passed
    memo TEXT PRIMARY KEY, record TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS bags (             -- order-free digests of an artifact's columns
    artifact TEXT, columns TEXT, digest TEXT NOT NULL, PRIMARY KEY (artifact, columns)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshots (        -- the states in which all was checked, compiled, built; see rules/noop.py
    root TEXT, kind TEXT CHECK (kind IN ('checked', 'compiled', 'built')), record TEXT NOT NULL,
    PRIMARY KEY (root, kind)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS used (             -- the content of each source when it was last built from
    root TEXT, source TEXT, content TEXT NOT NULL, PRIMARY KEY (root, source)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS collected (        -- what the last collection of garbage left
    one INT PRIMARY KEY CHECK (one = 1), record TEXT NOT NULL
) WITHOUT ROWID;
