"""`make bench`: measures what an answer costs, prints the table and writes RESULTS.md beside this file.

`python -m benchmarks PART…` measures parts and prints their rows; with `--write` it puts them into RESULTS.md.
`python -m benchmarks scale [ROW…]` is `make scale`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from time import monotonic

from benchmarks import client, first_answer, machine, paper, peer, speed, staleness, start, tokens
from benchmarks.processes import HERE
from benchmarks.report import Finding, dated, markdown_table, text_table, with_rows

_RESULTS = HERE / "RESULTS.md"
_PARTS: dict[str, Callable[[Path], Iterator[Finding]]] = {
    "tokens": tokens.findings,
    "page": speed.page_findings,
    "books": speed.book_findings,
    "start": start.findings,
    "first": first_answer.findings,
    "client": client.findings,
    "paper": paper.findings,
    "staleness": staleness.findings,
}

_TEXT = """\
# What an answer costs

Written by `make bench` on {day}. Everything runs on one machine over loopback.

{facts}

{table}

## How it is measured

- **Tokens** are those of the o200k vocabulary ({vocabulary}). Structured content and definitions count as the JSON
  that is on the wire. Every tool is asked for the least that makes it do its work, on an account of 1,000 positions in
  the embedded paper exchange, by a client that cannot ask a person; the larger of text and structured content counts.
  Where a tool does nothing without arguments its row names them: an error for want of them would be short and say
  nothing. What would send is refused there, and its row says so.
- **Times** are the best of a run in which the sides of a comparison take turns: whatever else the machine does can
  only add to a round, and on a shared machine it adds up to as much again. Positions are read by the production
  client from `positions-mcp paper serve`, which runs in a process of its own; prices stand still, so that it answers
  with rows that are ready. The MCP servers are processes too, spoken to over standard input and output line by line;
  the time is that from the request to the last byte of the answer, which is not parsed. Only the rows "received by a
  client" are of the official SDK's client, which parses an answer and checks it against its schema: what a host waits
  for. On the pipe alone the peer's answer takes three to four times the floor, so that 0.3 of it is about the floor
  itself, which everybody who fetches the page has to pay; that row is shown without a target.
- The **floor** of an answer is fetching all its pages with `httpx.Client`, one after another over a kept connection,
  and `json.loads` of each. The floor of the start is an `MCPServer` with one empty tool.
- The **first answer** is that to the first request of a conversation, `initialize` in one form of the protocol and
  `server/discover` in the other, from the start of the process on. In time of the processor it is what all its threads
  have used until then: that does not grow by waiting for others. The earlier edition is the checkout that
  `BENCHMARKS_EARLIER` names.
- **Linear** growth is read as: 100,000 positions take at most 1.2 times as long as 10,000 do if they grow as the
  floor does, which stands in the column of the floor. The 1.2 is this benchmark's own allowance.
- A load average above the number of processors means that other work took turns with what was measured. The sides of
  a comparison share that, but not equally: an answer that passes through more processes waits more often.
- The rows of the **client** are the library's own, called from a thread: typed positions of one page and of all pages
  beside the floor, and one close beside the same request on a new connection. Its import is the time of a Python that
  imports it less that of one that does nothing.
- The rows of the **paper exchange** are one HTTP client over a kept connection: pages of the default size, parsed, and
  a close. The earlier edition, where there is one, is a checkout that `BENCHMARKS_EARLIER` names; both take turns.
- **Stale** is what a plan to close an option becomes where prices have moved too far by the time it is sent. A seeded
  simulation: the option at the money one hour before its last trade, one minute between plan and sending, underlyings
  from 12 to 6,000 dollars with yearly volatilities from 12 % to 100 %, quoted in ticks, with and without a known price
  of the underlying.
- The **peer** is `FastMCP.from_openapi` ({peer}) over the same upstream and its own specification, in an environment of
  its own, and asked in the same way for the same page.
- **Memory** is the most that was resident in the server's process alone, in 10⁶ bytes.
"""


def main(wanted: list[str]) -> int:
    """Measure all parts and write RESULTS.md, or the named ones. Returns 1 if a target is missed."""
    begin = monotonic()
    write = "--write" in wanted
    wanted = [name for name in wanted if name != "--write"]
    if not wanted or "tokens" in wanted:
        tokens.prepare()
    if not wanted or set(wanted) - {"first", "client", "paper", "staleness"}:
        peer.prepare()
    findings: list[Finding] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, measure in _PARTS.items():
            if not wanted or name in wanted:
                print(f"measuring {name} …", file=sys.stderr, flush=True)
                findings += measure(Path(folder))
    print(text_table(findings))
    print(f"\n{monotonic() - begin:.0f} s")
    if not wanted:
        facts = "\n".join(f"- {name}: {value}" for name, value in machine.facts())
        text = _TEXT.format(
            day=date.today().isoformat(),  # noqa: DTZ011  # the day of whoever measures
            facts=facts,
            table=markdown_table(findings),
            vocabulary=tokens.VOCABULARY,
            peer=peer.PACKAGE,
        )
        _RESULTS.write_text(text, encoding="utf-8")
    elif write:
        _RESULTS.write_text(
            dated(with_rows(_RESULTS.read_text(encoding="utf-8"), findings), wanted, machine.load()), encoding="utf-8"
        )
    return 1 if any(finding.passed is False for finding in findings) else 0


if sys.argv[1:2] == ["scale"]:
    from benchmarks.scale.measure import main as scale

    sys.exit(scale(sys.argv[2:]))
sys.exit(main(sys.argv[1:]))
