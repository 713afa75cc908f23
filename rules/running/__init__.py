"""Steps 6 and 7, execute and store: run what must run, verify it by its checks, record it."""
