"""Subqueries that DataFusion 55 answers wrongly or cannot plan, as joins: one module a step."""
