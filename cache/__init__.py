"""The store: digests, keys, objects and the index. Knows bytes and digests, never a rule's SQL."""
