"""The HTTP library's client, without what it does for browsers. Imported where the library has been."""

from __future__ import annotations

import httpx


class HttpClient(httpx.AsyncClient):
    """Looks for no cookies in what it receives: it sends none, and of every page that would leave traces in memory."""

    @property
    def cookies(self) -> httpx.Cookies:
        """None, ever."""
        return _NoCookies()

    @cookies.setter
    def cookies(self, _: object) -> None:
        raise TypeError("this client keeps no cookies")


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        """Nothing."""
