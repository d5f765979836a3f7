"""Whose signature it is: keys, statements, and the chain of rosters. The guard and the store both check by this."""
