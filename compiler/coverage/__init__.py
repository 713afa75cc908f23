"""What rows can show of a rule: each outcome of its predicates, cases, joins and groups, and how to count it."""
