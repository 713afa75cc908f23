"""The compiler: SQL and Ibis in; canonical AST, fingerprint, read set, lineage and diff out. No I/O, no engine."""
