"""Products in the folders, buckets and databases where people look: only what changed, whole or not at all."""
