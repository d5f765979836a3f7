"""Questions about a book answered exactly: what is held, grouped, sorted, summed, expiring. Pure."""
