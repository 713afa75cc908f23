"""The shared cache: immutable objects and action records by digest, in a bucket that several stores share.

Nothing here is imported unless [cache] names a remote and something is missing from the store, or new in it.
"""
