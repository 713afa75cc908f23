"""Subqueries that DataFusion 55 answers wrongly or cannot plan become joins: one module a step."""
