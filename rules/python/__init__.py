"""Rules in Python: declaring, importing, remembering them, and turning them into queries."""
