claude mcp add positions -- positions-mcp serve
