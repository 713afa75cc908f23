"""Step 5, plan: which products a request is about, and everything that is known before one of them runs."""
