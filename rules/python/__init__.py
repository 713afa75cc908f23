"""Rules in Python: how they are declared, imported, remembered and turned into queries."""
