"""A client or server on standard streams that is killed leaves no question that keeps the next one from asking."""

from __future__ import annotations

import signal
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.servers import ALIVE_FOR
from positions_mcp.domain.operation.states import Stage
from positions_mcp.store import DEFAULT_FILE, open_store
from test_discovery_first import CLOSE, FORM, OF_2026, Message, Pipe, plan_of, serving, text_of

pytestmark = pytest.mark.requirement("G-22", "G-06")

SECOND = timedelta(seconds=1)
ERAS = ("2025-11-25", "2026-07-28")
OTHER = {"name": "close_positions", "arguments": {"instruments": ["XOM"]}}


class Life:
    """One server and its client, for as long as both live."""

    def __init__(self, pipe: Pipe, era: str) -> None:
        self.pipe, self._is_modern = pipe, era == ERAS[1]
        if not self._is_modern:
            pipe.initialize(FORM)

    def ask(self, call: Message) -> Message:
        """The question that a call leads to, or its answer."""
        return self.pipe.ask("tools/call", OF_2026 | call if self._is_modern else call)

    def say_yes(self, call: Message, question: Message) -> str:
        """What the call answers then."""
        yes = {"action": "accept", "content": {"approve": True}}
        if not self._is_modern:
            self.pipe.send({"id": question["id"], "result": yes})
            return text_of(self.pipe.receive())
        asked = question["result"]
        answers = {"inputResponses": dict.fromkeys(asked["inputRequests"], yes), "requestState": asked["requestState"]}
        return text_of(self.ask(call | answers))


def open_forms(folder: Path, at: datetime) -> set[str]:
    """The plans of the one caller there is whose question is open then."""
    with closing(open_store(folder / DEFAULT_FILE)) as store:
        return set(store.open_forms(Mode.PAPER, store.operations()[0].plan.caller, at))


def said_at(folder: Path) -> datetime:
    """When the one server there is, or was, last said that it is alive."""
    with closing(open_store(folder / DEFAULT_FILE)) as store:
        [server] = store.servers(datetime.fromtimestamp(0, UTC))
        return server.until - ALIVE_FOR


@pytest.mark.parametrize("era", ERAS)
def test_a_client_that_is_killed_leaves_no_open_question(era: str, tmp_path: Path) -> None:
    with serving(tmp_path) as pipe:
        plan = plan_of(Life(pipe, era).ask(CLOSE))
        asked_at = said_at(tmp_path)
        assert open_forms(tmp_path, asked_at) == {plan}
        pipe.end()
        pipe.process.wait()
    assert open_forms(tmp_path, asked_at) == set()


@pytest.mark.parametrize("era", ERAS)
def test_the_question_of_a_server_that_is_killed_is_open_for_half_a_minute_and_asked_again_at_once(
    era: str, tmp_path: Path
) -> None:
    with serving(tmp_path) as pipe:
        plan = plan_of(Life(pipe, era).ask(CLOSE))
        pipe.process.send_signal(signal.SIGKILL)
        pipe.process.wait()
    killed_at = said_at(tmp_path)
    assert open_forms(tmp_path, killed_at) == {plan}
    assert open_forms(tmp_path, killed_at + ALIVE_FOR + SECOND) == set()
    with serving(tmp_path) as pipe:
        next_life = Life(pipe, era)
        again = next_life.ask(CLOSE)
        assert plan_of(again) == plan
        assert "SUBMITTED" in next_life.say_yes(CLOSE, again)
        assert plan_of(next_life.ask(OTHER)) != plan
    with closing(open_store(tmp_path / DEFAULT_FILE)) as store:
        assert {each.stage for each in store.operations()} == {Stage.FINISHED, Stage.AWAITING_APPROVAL}
        assert [entry.event for entry in store.journal()].count("sending") == 1
