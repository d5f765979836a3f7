"""`python -m positions_mcp`: the same as the `positions-mcp` command."""

import sys

from positions_mcp.cli import main

sys.exit(main())
