"""Walking trees, and running what recurses on them."""
