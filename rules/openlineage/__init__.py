"""OpenLineage: what a build did, as events of that standard, to a file or a server."""
