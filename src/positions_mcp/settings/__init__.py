"""The settings: where they come from, what they may be, and how a wrong one is said.

Precedence: command line, environment (`POSITIONS_MCP_…`), `--config FILE.toml`, the packaged `config/default.toml`.
The key and address of the live API come from `CLEAR_STREET_…` and are read only in live mode. A message about a
setting names the variable, option or file it came from and the form its value takes.
"""

from positions_mcp.settings.live import LiveAccess, live_access
from positions_mcp.settings.model import LIVE_DESK_ABOVE, PAPER_ACCOUNT, Settings, default_data_dir
from positions_mcp.settings.sources import AccountsNotNamed, load

__all__ = [
    "LIVE_DESK_ABOVE",
    "PAPER_ACCOUNT",
    "AccountsNotNamed",
    "LiveAccess",
    "Settings",
    "default_data_dir",
    "live_access",
    "load",
]
