"""What queries in other dialects mean: their habits, the texts of their calls, and rules written in them."""
