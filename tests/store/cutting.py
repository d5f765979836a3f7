"""A way to the database that can be cut without anybody being told: bytes are taken, and go nowhere."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import make_url


class Way:
    """Connections through a port of this machine to a PostgreSQL that listens on a socket of the file system."""

    def __init__(self, url: str) -> None:
        self._there = f"{make_url(url).query['host']}/.s.PGSQL.5432"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._flows = threading.Event()
        self._flows.set()
        port = self._listener.getsockname()[1]
        self.url = make_url(url).set(query={}, host="127.0.0.1", port=port).render_as_string(hide_password=False)
        self._taking = threading.Thread(target=self._take, daemon=True)
        self._taking.start()

    def cut(self) -> None:
        """From now on nothing gets through, and every connection stays up."""
        self._flows.clear()

    def mend(self) -> None:
        """New connections get through again; what was sent meanwhile is lost, and so are those of before."""
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._flows.set()

    def close(self) -> None:
        self.mend()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._taking.join()
        for each in (*self._open, self._listener):
            each.close()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.socket(socket.AF_UNIX)
                there.connect(self._there)
                self._open += [here, there]
                for pair in ((here, there), (there, here)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._flows.is_set():
                    to.sendall(data)
        if self._flows.is_set():  # else nobody hears that the other side has gone
            with suppress(OSError):
                to.shutdown(socket.SHUT_RDWR)


@contextmanager
def way_to(url: str) -> Iterator[Way]:
    """A way that works until it is cut."""
    way = Way(url)
    try:
        yield way
    finally:
        way.close()
