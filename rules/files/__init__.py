"""Where the files of a project are, which files a source has, and digests of them. Light: the no-op path needs it."""
