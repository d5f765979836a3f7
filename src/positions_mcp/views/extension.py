"""The extension as a server declares it, and the one resource that there is of it."""

from __future__ import annotations

from typing import Any

from mcp.server.extension import Extension
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp_types import Resource

from positions_mcp.tools._uris import VIEW

MIME_TYPE = "text/html;profile=mcp-app"
_NOTHING: list[str] = []
_META: dict[str, Any] = {
    "ui": {
        "csp": {
            "connectDomains": _NOTHING,
            "resourceDomains": _NOTHING,
            "frameDomains": _NOTHING,
            "baseUriDomains": _NOTHING,
        },
        "prefersBorder": True,
    }
}
"""What the page may reach, which is nothing: hosts make their own policy of it. It asks for no permission."""


class Views(Extension):
    """Declares MCP Apps as the SDK's own `Apps` does, whose import would slow down every start."""

    identifier = "io.modelcontextprotocol/ui"


def listed() -> Resource:
    return Resource(
        uri=VIEW,
        name="answer-view",
        title="Answers as pictures",
        description="Draws positions, exposure, expirations and plans for hosts that show pages. It calls no tool.",
        mime_type=MIME_TYPE,
        _meta=_META,
    )


def read() -> list[ReadResourceContents]:
    from positions_mcp.views.document import document

    return [ReadResourceContents(content=document(), mime_type=MIME_TYPE, meta=_META)]
