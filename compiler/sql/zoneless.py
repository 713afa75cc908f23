"""The functions that make timestamps of numbers and texts."""

from __future__ import annotations

ZONELESS = ("to_timestamp", "to_timestamp_seconds", "to_timestamp_millis", "to_timestamp_micros", "to_timestamp_nanos")
"""Functions that yield timestamps without a time zone, whatever the session's zone."""
