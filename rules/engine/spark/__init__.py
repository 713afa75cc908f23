"""Execution on a cluster of Apache Spark, by Spark Connect: the only package that imports pyspark."""
