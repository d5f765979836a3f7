"""What the host starts: the server on standard input and output, with the settings that the host asked for."""

import sys

from positions_mcp.cli import main

sys.exit(main(sys.argv[1:] or ["serve"]))
