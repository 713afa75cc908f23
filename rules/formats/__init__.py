"""Formats of sources: which files a table has, and how their bytes become columns and digests."""
