"""`rules lsp`: a language server for the rules of a project."""
