"""How the addresses of resources begin."""

OPERATION = "operations://"
POSITIONS = "positions://"
VIEW = "ui://positions-mcp/answer.html"
"""The one page of views, whole: a host draws answers with it (docs/views.md)."""
