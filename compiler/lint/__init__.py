"""The checks of `rules check` on a rule's SQL. Pure: text and schemas in, findings out; no engine."""
