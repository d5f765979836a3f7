"""Closing positions: some of them, one request for each, or all of an account in one request."""
