"""What several test packages share: real data, the real engine, and the pairs of SQL that judge the canonical form."""
