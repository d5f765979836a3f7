"""A change of a host's configuration: worked out as text, shown, and written with a copy of the old one beside it."""

from __future__ import annotations

import copy
import difflib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from positions_mcp.cli.files import write_whole
from positions_mcp.cli.install.errors import CannotBeRead
from positions_mcp.cli.install.hosts import Host
from positions_mcp.domain.errors import ConfigurationError

_NOTHING = "Nothing was changed."


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one file. None stands for no file."""

    path: Path
    before: bytes | None
    after: bytes | None

    @property
    def backup(self) -> Path:
        """Where the file as it was before this program is kept."""
        return self.path.with_name(f"{self.path.name}.positions-mcp.backup")

    @property
    def is_none(self) -> bool:
        """Whether the file is already as it should be."""
        return self.before == self.after

    def difference(self) -> str:
        """The lines that change, as `diff -u` shows them."""
        old, new = ((text or b"").decode("utf-8-sig").splitlines() for text in (self.before, self.after))
        return "\n".join(difflib.unified_diff(old, new, str(self.path), str(self.path), lineterm="", n=2))

    def write(self, *, keep_backup: bool) -> None:
        """Write the file whole or not at all. With `keep_backup` a copy that is there already stays.

        Raises ConfigurationError where the file changed meanwhile, or cannot be written.
        """
        try:
            if _contents(self.path) != self.before:
                raise ConfigurationError(f"{self.path} has changed in the meantime.", hint=f"{_NOTHING} Run it again.")
            if self.after is None:
                self.path.unlink()
                return
            self.path.parent.mkdir(parents=True, exist_ok=True)
            restores = _contents(self.backup) == self.after
            if self.before is not None and not restores and not (keep_backup and self.backup.exists()):
                shutil.copy2(self.path, self.backup)
            write_whole(self.path, self.after, keep_mode=True)
            if restores:
                self.backup.unlink()
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be written: {error.strerror}.", hint=_NOTHING) from None


def installing(host: Host, path: Path, name: str, entry: dict[str, Any]) -> Change:
    """The change that puts an entry into a host's configuration. What a person added to the entry stays.

    Raises ConfigurationError where the file cannot be read, or another server has that name.
    """
    path, before, text, place, there = _found(host, path, name, otherwise=" Choose another with --name.")
    wanted = {**(there or {}), **entry}
    if there == wanted:
        return Change(path, before, before)
    return Change(path, before, _checked(host, path, text, place, wanted))


def uninstalling(host: Host, path: Path, name: str) -> Change:
    """The change that takes the entry out: back to the copy from before where nothing else has changed since.

    Raises as `installing`.
    """
    path, before, text, place, there = _found(host, path, name)
    if there is None:
        return Change(path, before, before)
    after = _checked(host, path, text, place, None)
    kept = _contents(Change(path, before, after).backup)
    was = _text(path, kept)
    try:
        is_as_before = entry_in(host, host.format.parsed(was), name) is None and (
            host.format.without_entry(host.format.with_entry(was, place, there), place).encode() == after
        )
    except CannotBeRead:
        is_as_before = False
    return Change(path, before, kept if is_as_before else after)


def entry_in(host: Host, said: Any, name: str) -> Any:
    """The server of a name in what a host's configuration says; None where there is none."""
    container = said.get(host.container) if isinstance(said, dict) else None
    return container.get(name) if isinstance(container, dict) else None


def is_ours(entry: Any) -> bool:
    """Whether an entry of a host starts this program."""
    if not isinstance(entry, dict):
        return False
    words = [entry.get("command"), entry.get("cmd"), entry.get("args")]
    flat = [each for word in words for each in (word if isinstance(word, list) else [word])]
    return any("positions-mcp" in word or "positions_mcp" in word for word in flat if isinstance(word, str))


def _checked(host: Host, path: Path, text: str, place: tuple[str, str], entry: dict[str, Any] | None) -> bytes:
    """The new text, once it has been read back: it says what it said, and the entry or its absence."""
    container, name = place
    try:
        expected = copy.deepcopy(host.format.parsed(text))
        if entry is None:
            expected[container].pop(name)
        else:
            expected[container] = {**(expected.get(container) or {}), name: entry}
        after: str = (
            host.format.without_entry(text, place) if entry is None else host.format.with_entry(text, place, entry)
        )
        said = _read_back(host, after)
        if said is not None and entry is None and not expected[container]:
            expected, said = ({**each, container: each.get(container) or {}} for each in (expected, said))
        if said != expected:
            raise CannotBeRead("an entry cannot be added or removed without touching the rest")  # noqa: TRY301
    except (CannotBeRead, TypeError, AttributeError) as error:
        why = str(error) if isinstance(error, CannotBeRead) else f'its "{container}" is not a list of servers'
        raise ConfigurationError(f"{path} is left as it is: {why}.", hint=_by_hand(host)) from None
    return after.encode()


def _read_back(host: Host, text: str) -> Any:
    """What was written says; None where the host could not read it."""
    try:
        return host.format.parsed(text)
    except CannotBeRead:
        return None


def _found(
    host: Host, path: Path, name: str, *, otherwise: str = ""
) -> tuple[Path, bytes | None, str, tuple[str, str], dict[str, Any] | None]:
    """The file itself, what is in it, as bytes and as text, and where this program's entry would be, and is.

    Raises ConfigurationError where another server has that name.
    """
    try:
        path = path.resolve()
    except RuntimeError:  # so until Python 3.13, where reading it fails
        raise ConfigurationError(f"{path} is a link that leads to itself.", hint=_NOTHING) from None
    before = _contents(path)
    text = _text(path, before)
    try:
        said = host.format.parsed(text)
    except CannotBeRead as error:
        raise ConfigurationError(f"{path} is left as it is: {error}.", hint=_by_hand(host)) from None
    there = entry_in(host, said, name)
    if there is not None and not is_ours(there):
        raise ConfigurationError(
            f'{path} has a server "{name}" that is not this program.', hint=f"{_NOTHING}{otherwise}"
        )
    return path, before, text, (host.container, name), there


def _by_hand(host: Host) -> str:
    return f"{_NOTHING} To add it yourself: positions-mcp install {host.name} --print"


def _text(path: Path, contents: bytes | None) -> str:
    try:
        return (contents or b"").decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not text in UTF-8.", hint=_NOTHING) from None


def _contents(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.", hint=_NOTHING) from None
