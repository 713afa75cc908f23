"""The form of a query that the engine executes, with the rewrites it needs for the engine to do what the SQL says."""
