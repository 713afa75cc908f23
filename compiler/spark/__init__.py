"""Rules for Apache Spark: their queries in its SQL, as far as both engines are known to give the same tables."""
