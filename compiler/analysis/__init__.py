"""What a query depends on: the columns it reads, its lineage, its shape, types and traits."""
