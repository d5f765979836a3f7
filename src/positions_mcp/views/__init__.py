"""The page that hosts may draw answers with (MCP Apps). It shows and never decides: it calls no tool."""
