"""Walking trees, and running code that recurses on them."""
