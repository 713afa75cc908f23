"""`rules check`: what is wrong with the rules of a project, found without running one, and the fixes."""
