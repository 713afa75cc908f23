"""The engine: the only place that imports datafusion."""
