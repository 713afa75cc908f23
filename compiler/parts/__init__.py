"""How a rule reads each of its inputs, and the queries by which its product is made part by part."""
