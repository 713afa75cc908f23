"""Tables from outside: which files they are, what is in them, and what they promise."""
