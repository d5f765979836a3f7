"""Keeps the key out of the HTTP library's log, which at its most talkative shows the headers of answers.

A server or a proxy may repeat the key in them; the library itself only hides it in requests.
"""

from __future__ import annotations

import logging

from pydantic import SecretStr

REPLACEMENT = "[api key]"
_LOGGERS = ("httpx", *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")))


class KeyFilter(logging.Filter):
    """Takes one key out of what the HTTP library logs, from `install` to `remove`."""

    def __init__(self, key: SecretStr) -> None:
        super().__init__()
        self._key = key

    def install(self) -> None:
        """Begin."""
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self)

    def remove(self) -> None:
        """End; also where it never began."""
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without the key."""
        message = record.getMessage()
        if self._key.get_secret_value() in message:
            record.msg, record.args = message.replace(self._key.get_secret_value(), REPLACEMENT), ()
        return True
