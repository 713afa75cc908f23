"""What the engine says of queries, one module a kind: patterns, and who tells the author what they mean."""
