"""Step 4, diff: how and where a rule was edited, and the parts that the edit cannot have touched."""
