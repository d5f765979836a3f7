"""Builds everything a release consists of into `dist`, judges it with the tools of others, and publishes nothing."""
