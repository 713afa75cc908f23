"""Steps 2 and 3, compile and fingerprint: rules become compiled rules, each remembered by what it is made from."""
