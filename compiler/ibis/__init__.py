"""Ibis expressions as SQLGlot trees. The only import of ibis in the compiler."""
