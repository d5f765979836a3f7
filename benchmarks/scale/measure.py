"""`make scale`: measures every row, prints the table and writes SCALE.md; `python -m benchmarks scale ROW…` some."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from time import monotonic

from benchmarks import machine
from benchmarks.processes import HERE
from benchmarks.report import Finding, dated, markdown_table, text_table, with_rows
from benchmarks.scale.many_operations import DAYS
from benchmarks.scale.place import FULL, QUICK, Place, Sizes
from benchmarks.scale.rows import ROWS
from benchmarks.scale.stores import databases

RESULTS = HERE / "SCALE.md"
COLUMNS = {"what": "what", "measured": "measured", "floor": "floor", "ratio": "ratio", "target": "must", "pass": "met"}

_TEXT = """\
# What stays flat

Written by `make scale` on {day}. Everything runs on one machine over loopback; trust ratios rather than times.

{facts}

{table}

## How it is measured

- The server is a process, spoken to over standard input and output or over HTTP. What is behind it is a **thin
  upstream** in a process of its own (`benchmarks/scale/thin_server.py`): ready text, orders that fill at once, and a
  count of what it was asked for. In rows that close it tells a time within a session, as a paper exchange does.
- A **supervised close** is one call: asked for, shown in a form, approved by the client at once, sent and followed.
  Its time of the processor is that of all threads of the server. **Store writes** are transactions that wrote
  something, as the database counts them: SQLite in the shared memory of its log, PostgreSQL by its transaction ids.
- **PostgreSQL** is a real server of its own that waits for its disk.
- The **floor** is measured in the same run, and is what the row names: a bare server of the SDK that fetches the
  page, the pages fetched with `httpx` and parsed, the same requests on new connections, the same on an empty store or
  an account of few orders. Where a must is an amount, the floor only stands beside it.
- **Callers** of one account share a reading of it, and what is worked out of it, for a second, also in a server that is
  measured: with one caller, 99 of 100 calls are those that share, the last one reads. The floor fetches and parses the
  page at every call, and answers 20 rows of three columns (0.9 kB) where ours answers 50 of seven, twice (7.9 kB).
- **100,000 operations** are copies of one close, spread over {days} days, with the journal that they would have left;
  `operations verify` accepts them before anything is measured.
- A load average above the number of processors means that other work took turns with what was measured.
- Time of the processor differs from run to run, by up to a third where a machine shares its processors: what is near
  its must may be on either side of it.
"""


def main(wanted: Sequence[str]) -> int:
    """Measure the rows of these names, or all and write SCALE.md. Returns 1 if a must is not met.

    `--quick` only shows that they can be measured; `--write` puts the rows that are named into SCALE.md.
    """
    begin, sizes = monotonic(), QUICK if "--quick" in wanted else FULL
    names = [name for name in wanted if not name.startswith("--")]
    if unknown := sorted(set(names) - {row.name for row in ROWS}):
        print(f"There is no row {unknown[0]!r}; there are {', '.join(row.name for row in ROWS)}.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what it has started ends with it
    findings = list(measured(names, sizes))
    print(text_table(findings, COLUMNS))
    print(f"\n{monotonic() - begin:.0f} s")
    if sizes is FULL and (not names or ("--write" in wanted and not RESULTS.exists())):
        RESULTS.write_text(_document(findings), encoding="utf-8")
    elif sizes is FULL and "--write" in wanted:
        written = with_rows(RESULTS.read_text(encoding="utf-8"), findings, COLUMNS)
        RESULTS.write_text(dated(written, ["scale", *names], machine.load()), encoding="utf-8")
    return 1 if sizes is FULL and any(finding.passed is False for finding in findings) else 0


def measured(names: Sequence[str], sizes: Sizes) -> Iterator[Finding]:
    """What the rows of these names come to, or all."""
    for row in ROWS:
        if not names or row.name in names:
            print(f"measuring {row.name} …", file=sys.stderr, flush=True)
            # A folder and databases for each: what one leaves behind does not weigh on the next.
            with tempfile.TemporaryDirectory() as folder, databases(Path(folder)) as stores:
                yield from row.measure(Place(Path(folder), stores, sizes))


def _document(findings: Sequence[Finding]) -> str:
    return _TEXT.format(
        day=date.today().isoformat(),  # noqa: DTZ011  # the day of whoever measures
        facts="\n".join(f"- {name}: {value}" for name, value in machine.facts()),
        table=markdown_table(findings, COLUMNS),
        days=DAYS,
    )
