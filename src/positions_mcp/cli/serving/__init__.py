"""Servers over HTTP and the supervisor's page: who may connect, what listens, how it ends, what a start waits for."""
