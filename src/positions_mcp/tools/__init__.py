"""The MCP tools, one file each; `catalogue` has all of them, and `definitions/` what is published of each."""
