"""The dependencies of a query: the columns it reads, its lineage, its shape, types and traits."""
