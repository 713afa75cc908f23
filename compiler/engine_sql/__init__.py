"""The form of a query that the engine executes, and what it needs so that the engine does what the SQL says."""
