"""Projects of other tools, read and written as projects of rules."""
