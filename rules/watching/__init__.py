"""`rules watch`: files that change, and what a plan or a build makes of them."""
