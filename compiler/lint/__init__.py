"""What `rules check` finds in a rule's SQL. Pure: text and schemas in, findings out; no engine."""
