"""positions-mcp: Clear Street positions for assistants, with a person deciding what is sent."""

__version__ = "0.1.0"
