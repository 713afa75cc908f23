"""Writing the tables of products to files and folders that a command names, outside the store."""
