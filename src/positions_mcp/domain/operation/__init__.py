"""A destructive operation: its plan, states, decisions and policy."""
