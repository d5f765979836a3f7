"""The page as one document: its files joined, under a policy that allows these and nothing else.

What it draws is the structured content that a host passes on. It is read when a host asks for it, never at the start.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

_FILES = Path(__file__).with_name("page")
_SCRIPTS = ("facts.js", "pictures.js", "payoff.js", "bridge.js", "answers.js")
"""In this order they are one module: each uses what is above it."""
_SPACE = re.compile(r";?\s*([{}:;,])\s*")
"""Around what a style sheet is made of. The page's own style sheet has none that means anything."""


def document() -> str:
    """The whole page. Nothing is fetched by it, and nothing that is put into it later can run."""
    css, js = _SPACE.sub(r"\1", _text("page.css")), "\n".join(map(_text, _SCRIPTS))
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash(js)}",
            f"style-src {_hash(css)}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )
    page = _text("page.html")
    for name, part in (("policy", policy), ("css", css), ("js", js)):
        page = page.replace(f"{{{name}}}", part)
    return page


def _text(name: str) -> str:
    """A file without what is for who reads it: indentation, empty lines, and lines that are comments."""
    lines = map(str.strip, (_FILES / name).read_text(encoding="utf-8").splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
