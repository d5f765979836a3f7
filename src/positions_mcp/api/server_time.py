"""What time the API's server says it is, asked for without the key."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

from positions_mcp.domain.errors import ReadFailed
from positions_mcp.domain.text import clean


def server_time(base_url: str, *, timeout_s: float = 10) -> datetime:
    """The Date header of whatever the server answers to a HEAD, a refusal too. Redirects are not followed. Blocking.

    Raises:
        ReadFailed: no answer, or one without a date.
    """
    import httpx

    reason = "the answer has no usable Date"
    try:
        header = httpx.head(base_url, timeout=timeout_s, follow_redirects=False).headers.get("date", "")
        return parsedate_to_datetime(header)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = clean(str(error)) or type(error).__name__
    except ValueError:
        pass
    raise ReadFailed(f"The server's time could not be read: {reason}.")
