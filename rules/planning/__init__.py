"""Step 5, plan: the products that a request selects, and everything that is known before one of them runs."""
