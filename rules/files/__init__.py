"""Where the files of a project are, and digests of them. Light: the no-op path needs it."""
