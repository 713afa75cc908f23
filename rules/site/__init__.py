"""`rules docs`: a project as a static site: its graph, rules, columns, checks and builds."""
