"""What this program says of itself, to clients, registries and hosts: the same everywhere."""

from __future__ import annotations

TITLE = "Clear Street positions"
DESCRIPTION = "Ask about, close and exercise Clear Street positions; a person decides what is sent."
"""At most 100 characters: registries take no more."""
WEBSITE = "https://github.com/positions-mcp/positions-mcp"
MANUAL = f"{WEBSITE}/blob/main/docs"
"""Where the pages of docs are read: an installed program has none beside it."""
ICON = (
    "data:image/svg+xml;base64,"
    "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAxNiAxNiI+PHJlY3Qgd2lkdGg9"
    "IjE2IiBoZWlnaHQ9IjE2IiByeD0iMyIgZmlsbD0iIzBiNTdhNCIvPjxwYXRoIGQ9Ik00IDguNSA3IDExLjUgMTIuNSA1IiBm"
    "aWxsPSJub25lIiBzdHJva2U9IiNmZmYiIHN0cm9rZS13aWR0aD0iMiIvPjwvc3ZnPg=="
)
"""The page's `icon.svg`. A client may show it without asking anybody for it."""
