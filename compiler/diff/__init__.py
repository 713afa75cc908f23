"""Step 4, diff: how a rule was edited, where, and what the edit cannot have touched."""
