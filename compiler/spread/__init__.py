"""Whether a rule may use several partitions of the engine."""
