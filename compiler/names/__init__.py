"""What every name of a query means."""
