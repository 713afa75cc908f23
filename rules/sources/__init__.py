"""Tables from outside: the files of each, as what they are read, and the digests of their columns."""
