"""What `doctor` finds, line by line as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from positions_mcp.cli.output import Progress, folded, progress, say
from positions_mcp.domain.errors import PositionsError
from positions_mcp.domain.text import clean

OK, NOTE, FAIL = "ok", "note", "FAIL"
_LONGEST_LINE = 2_000


@dataclass
class Findings:
    """What was found, in order, said as it comes."""

    failed: int = 0
    notes: int = 0
    found: list[dict[str, str]] = field(default_factory=list)
    """As JSON has it."""
    _say: Callable[[str], None] = field(default=say)
    _waiting: Progress | None = None

    def ok(self, subject: str, words: str) -> None:
        self._line(OK, subject, words)

    def note(self, subject: str, words: str) -> None:
        """Something a person may want to change, or know."""
        self.notes += 1
        self._line(NOTE, subject, words)

    def fail(self, subject: str, words: str) -> None:
        self.failed += 1
        self._line(FAIL, subject, words)

    @contextmanager
    def about(self, subject: str) -> Iterator[None]:
        """What goes wrong in here is a failure of the subject."""
        try:
            yield
        except PositionsError as error:
            self.fail(subject, str(error))
        except OSError as error:
            self.fail(subject, f"{error.filename or 'a file'}: {error.strerror}.")

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """What takes a while, for a person who waits."""
        with progress(what) as self._waiting:
            yield
        self._waiting = None

    def _line(self, mark: str, subject: str, words: str) -> None:
        self.found.append({"result": mark.lower(), "subject": subject, "words": clean(words, _LONGEST_LINE)})
        if self._waiting:
            self._waiting.clear()
        line = clean(f"{subject}: {words}", _LONGEST_LINE)
        self._say(folded(line, f"{mark:<5}", " " * 7))
