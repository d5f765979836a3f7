"""What servers in other processes ask of a test: its broker, which stays where it is and counts there, or its floor."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread

from positions_mcp.domain.account.positions import Book
from positions_mcp.domain.account.readings import Reading
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.ports import GatheringT, OnPage
from positions_mcp.tools._definition import ToolDefinition


@dataclass(frozen=True)
class OfABroker:
    """What a replica is told whose broker is a test's."""

    address: str
    accounts: tuple[int, ...]
    mode: Mode
    data_dir: Path
    store_url: str
    clock: Path
    only: ToolDefinition[Any] | None


class Asked:
    """A broker or floor, as a server in another process sees it."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def read_book(self, *arguments: Any, on_page: OnPage | None = None, **named: Any) -> Book:
        answer = await self._ask("read_book", *arguments, pages=on_page is not None, **named)
        book, pages = cast("tuple[Book, list[tuple[int, int]]]", answer)
        for page in pages:
            if on_page:
                await on_page(*page)
        return book

    async def gather_positions(
        self, account_id: Any, begin: Callable[[], GatheringT], *, on_page: OnPage | None = None
    ) -> tuple[GatheringT, Reading]:
        book, gathering = await self.read_book(account_id, on_page=on_page), begin()
        gathering.add(book.positions)
        return gathering, book

    async def _ask(self, name: str, *arguments: Any, **named: Any) -> Any:
        return await anyio.to_thread.run_sync(partial(self._asked, name, *arguments, **named))

    def _asked(self, name: str, *arguments: Any, **named: Any) -> Any:
        with Client(self._address) as connection:
            connection.send((name, arguments, named))
            worked, answer = connection.recv()
        if not worked:
            raise answer
        return answer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._ask, name)


@contextmanager
def asked_by_others(asked: object, address: Path) -> Iterator[None]:
    """Answer for it, each question in a thread of its own."""
    ended = threading.Event()
    with Listener(str(address)) as listener:
        answering = threading.Thread(target=_answer_all, args=(listener, asked, ended), daemon=True)
        answering.start()
        try:
            yield
        finally:
            ended.set()
            Client(str(address)).close()  # or it would wait for another one for ever
            answering.join()


def _answer_all(listener: Listener, asked: object, ended: threading.Event) -> None:
    while True:
        connection = listener.accept()
        if ended.is_set():
            connection.close()
            return
        threading.Thread(target=_answer, args=(connection, asked), daemon=True).start()


def _answer(connection: Connection, asked: object) -> None:
    with connection, suppress(OSError, EOFError):  # who asked was killed
        name, arguments, named = connection.recv()
        try:
            answer = True, anyio.run(partial(_called, asked, name, *arguments, **named))
            pickle.dumps(answer)
        except Exception as error:
            answer = False, error
        connection.send(answer)


async def _called(asked: object, name: str, *arguments: Any, pages: bool | None = None, **named: Any) -> Any:
    if pages is None:
        return await getattr(asked, name)(*arguments, **named)
    told: list[tuple[int, int]] = []

    async def on_page(done: int, total: int) -> None:
        told.append((done, total))

    return await getattr(asked, name)(*arguments, on_page=on_page if pages else None, **named), told
