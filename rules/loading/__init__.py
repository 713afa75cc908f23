"""Contracts: what products promise, and how that is verified before they are published."""
