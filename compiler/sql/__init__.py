"""SQL text to tree and back, as the engine reads it."""
