"""Unit tests of rules: rows that somebody gives to a rule, and the rows that it has to yield for them."""
