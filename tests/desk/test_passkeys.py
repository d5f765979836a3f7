"""Passkeys without a browser, on both databases: what is not the right signature of the right thing decides nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from authenticator import ORIGIN, UP, Authenticator
from desk.pages import Page, goes_over, page_over
from guard.desk import CALLER, PASSPHRASE, Desk
from guard.desk import desk as guarded
from guard.exchange import raising
from positions_mcp.domain.errors import OutcomeUnknown, Refused
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.guard.deciding import digest_of_halt, digest_of_row

pytestmark = pytest.mark.requirement("D-01", "D-04")
ADD, MAKE, REMOVE = "/api/approvers/passkeys/add", "/api/approvers/passkeys", "/api/approvers/passkeys/remove"


@dataclass
class Ana:
    """The approver, signed in, with a device. What one desk asks for, another one behind the same address is told."""

    desk: Desk
    page: Page
    other: Page
    device: Authenticator = field(default_factory=Authenticator)

    async def adds(self, **how: Any) -> Any:
        """Make a passkey and have it added; with the passphrase unless it is said otherwise."""
        made = (await self.page.post(MAKE, {"name": "approver", "label": "phone"})).json()
        answer = self.device.makes(made["create"]["challenge"])
        return await self.other.post(
            ADD, {"offer": made["offer"], "made": answer, **(how or {"passphrase": PASSPHRASE})}
        )

    @property
    def passkeys(self) -> list[str]:
        """Those that count."""
        roster = self.desk.store.rosters().roster
        assert roster is not None
        return [each.fingerprint for each in roster.members[0].credentials if each.kind == "passkey"]

    async def asks(self, path: str, body: dict[str, Any]) -> Any:
        """What is to be signed."""
        return (await self.page.post(path, {**body, "passkey": self.passkeys[0]})).json()

    async def answers(self, path: str, asked: Any, **said: str) -> Any:
        """Touch, and send it back; `said` is what the browser writes otherwise."""
        assertion = self.device.signs(asked["sign"]["challenge"], ORIGIN, **said)
        return await self.other.post(path, {"offer": asked["offer"], "assertion": assertion})

    async def touches(self, path: str, body: dict[str, Any]) -> Any:
        """Both steps."""
        return await self.answers(path, await self.asks(path, body))


@asynccontextmanager
async def ana_at(place: Path | str, folder: Path, *, enrolled: bool = True) -> AsyncIterator[Ana]:
    async with guarded(folder, place=place) as desk:
        await desk.supervisor.set_up_approver(PASSPHRASE)
        async with page_over(desk) as page, page_over(desk) as other:
            await page.sign_in()
            goes_over(page, other)
            ana = Ana(desk, page, other)
            if enrolled:
                assert (await ana.adds()).status_code == 200
            yield ana


def approve(operation: Operation) -> tuple[str, dict[str, Any]]:
    return f"/api/operations/{operation.operation_id}/approve", {"digest": operation.plan.digest, "note": "go"}


def decided(desk: Desk, operation: Operation) -> bool:
    stored = desk.store.operation(operation.operation_id)
    assert stored is not None
    return stored.decision is not None


async def test_one_touch_approves_and_every_server_checks_it_again_before_it_sends(
    place: Path | str, tmp_path: Path
) -> None:
    async with ana_at(place, tmp_path) as ana:
        operation = await ana.desk.asked("AAPL")
        answer = await ana.touches(*approve(operation))
        assert answer.status_code == 200, answer.text
        await ana.desk.guard.send_approved(operation.operation_id, caller=CALLER)
        assert len(ana.desk.exchange.effects) == 1
        stored = ana.desk.store.operation(operation.operation_id)
        assert stored is not None
        assert stored.decision is not None
        assert stored.decision.by == f"approver {ana.passkeys[0]}"
        assert stored.decision.origin == "http://localhost:8421"
        assert ana.desk.store.verify().intact


@pytest.mark.parametrize("kind", ["a wrong passphrase", "no passphrase", "nothing", "a passkey that is none"])
async def test_a_passkey_that_nobody_there_signs_for_is_not_added(tmp_path: Path, kind: str) -> None:
    how = {
        "a wrong passphrase": {"passphrase": "not the passphrase"},
        "no passphrase": {"passphrase": ""},
        "nothing": {"else": ""},
        "a passkey that is none": {"passkey": "0" * 12},
    }[kind]
    async with ana_at(tmp_path / "operations.sqlite", tmp_path, enrolled=False) as ana:
        assert (await ana.adds(**how)).status_code in (400, 403)
        assert ana.passkeys == []
        assert ana.desk.store.journal()[-1].event == "passphrase refused"


async def test_a_wrong_passphrase_asks_for_no_second_passkey(tmp_path: Path) -> None:
    async with ana_at(tmp_path / "operations.sqlite", tmp_path, enrolled=False) as ana:
        made = (await ana.page.post(MAKE, {"name": "approver", "label": "phone"})).json()
        body = {"offer": made["offer"], "made": ana.device.makes(made["create"]["challenge"])}
        assert (await ana.page.post(ADD, {**body, "passphrase": "not it"})).status_code == 403
        assert (await ana.page.post(ADD, {**body, "passphrase": PASSPHRASE})).status_code == 200
        assert (await ana.page.post(ADD, {**body, "passphrase": PASSPHRASE})).status_code == 403
        assert len(ana.passkeys) == 1


async def test_a_passkey_signs_for_the_next_one_and_for_its_own_end(tmp_path: Path) -> None:
    async with ana_at(tmp_path / "operations.sqlite", tmp_path) as ana:
        (first,), second = ana.passkeys, Authenticator()
        made = (await ana.page.post(MAKE, {"name": "approver", "label": "key"})).json()
        body = {"offer": made["offer"], "made": second.makes(made["create"]["challenge"]), "passkey": first}
        asked = (await ana.page.post(ADD, body)).json()
        assert (await ana.answers(ADD, asked)).status_code == 200
        assert len(ana.passkeys) == 2
        gone = {"fingerprint": first, "digest": ana.desk.store.rosters().head}
        assert (await ana.touches(REMOVE, gone)).status_code == 200
        assert first not in ana.passkeys
        assert ana.desk.store.verify().intact


ATTACKS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "another challenge": ({}, {"challenge": "AAAA"}),
    "another port": ({}, {"origin": "http://localhost:8422"}),
    "another origin": ({}, {"origin": "http://evil.example"}),
    "another host": ({"host": "evil.example"}, {}),
    "nobody was verified": ({"flags": UP}, {}),
    "another passkey": ({"credential_id": b"another"}, {}),
    "a copy that has signed less often": ({"counter": 0}, {}),
    "a copy that has signed as often": ({"step": 0}, {}),
}


async def test_what_is_not_the_right_signature_decides_nothing_and_is_written_down(
    place: Path | str, tmp_path: Path
) -> None:
    async with ana_at(place, tmp_path) as ana:
        operation, genuine = await ana.desk.asked("AAPL"), replace(ana.device)
        path, body = approve(operation)
        for name, (device, said) in ATTACKS.items():
            asked = await ana.asks(path, body)
            ana.device = replace(genuine, **device)
            answer = await ana.answers(path, asked, **said)
            assert answer.status_code == 403, name
            assert not decided(ana.desk, operation), name
            assert ana.desk.events()[-1] == "decision refused", name
        with pytest.raises(Refused):
            await ana.desk.guard.send_approved(operation.operation_id, caller=CALLER)
        assert ana.desk.exchange.effects == []
        ana.device = genuine
        assert (await ana.touches(path, body)).status_code == 200


async def test_a_signature_is_good_once_for_what_it_was_asked_for_within_a_minute_and_in_its_session(
    place: Path | str, tmp_path: Path
) -> None:
    async with ana_at(place, tmp_path) as ana:
        first, second = await ana.desk.asked("AAPL"), await ana.desk.asked("MSFT")
        asked = await ana.asks(*approve(first))
        signed = {"offer": asked["offer"], "assertion": ana.device.signs(asked["sign"]["challenge"])}
        assert (await ana.page.post(approve(second)[0], signed)).status_code == 403
        async with page_over(ana.desk) as other:
            await other.sign_in()
            assert (await other.post(approve(first)[0], signed)).status_code == 403
        assert not decided(ana.desk, first)
        assert (await ana.page.post(approve(first)[0], signed)).status_code == 200
        assert (await ana.page.post(approve(first)[0], signed)).status_code == 403
        late = await ana.asks(*approve(second))
        ana.desk.clock.advance(timedelta(seconds=60))
        assert (await ana.answers(approve(second)[0], late)).status_code == 403
        assert not decided(ana.desk, second)


async def test_what_waits_for_a_touch_is_in_the_store_hashed_bounded_and_gone_after_a_minute(tmp_path: Path) -> None:
    async with ana_at(tmp_path / "operations.sqlite", tmp_path) as ana:
        path, body = approve(await ana.desk.asked("AAPL"))
        names = [(await ana.asks(path, body))["offer"] for _ in range(25)]
        with connected(ana.desk) as database:
            kept = database.execute("SELECT offer, session, content FROM desk_offers").fetchall()
            assert len(kept) == 20
            cookies = dict(ana.page.http.cookies).values()
            assert not [secret for secret in (*names, *cookies, ana.page.token, PASSPHRASE) if secret in str(kept)]
            ana.desk.clock.advance(timedelta(seconds=60))
            last = await ana.asks(path, body)
            assert database.execute("SELECT count(*) FROM desk_offers").fetchone() == (1,)
        assert (await ana.answers(path, last)).status_code == 200


@pytest.mark.parametrize(
    ("altered", "by", "said"),
    [
        ('"note": "go"', '"note": "GO"', "is not what was shown"),
        ('"decision": "approve"', '"decision": "approved"', "has changed since"),
        ('"credential": "', '"credential": "0', "was altered"),
    ],
)
async def test_what_was_altered_in_the_store_meanwhile_is_not_what_the_device_signed(
    tmp_path: Path, altered: str, by: str, said: str
) -> None:
    async with ana_at(tmp_path / "operations.sqlite", tmp_path) as ana:
        operation = await ana.desk.asked("AAPL")
        asked = await ana.asks(*approve(operation))
        with connected(ana.desk) as database:
            (content,) = database.execute("SELECT content FROM desk_offers").fetchone()
            assert altered in content
            database.execute("UPDATE desk_offers SET content = ?", (content.replace(altered, by),))
            database.commit()
        answer = await ana.answers(approve(operation)[0], asked)
        assert (answer.status_code, said in answer.text) == (403, True), answer.text
        assert not decided(ana.desk, operation)


async def test_what_has_changed_between_the_question_and_the_touch_is_not_decided(tmp_path: Path) -> None:
    async with ana_at(tmp_path / "operations.sqlite", tmp_path) as ana:
        await ana.desk.supervisor.halt("a storm", by="test")
        asked = await ana.asks("/api/resume", {})
        await ana.desk.supervisor.halt("another storm", by="test")
        answer = await ana.answers("/api/resume", asked)
        assert (answer.status_code, "Nothing was decided" in answer.text) == (403, True), answer.text
        assert [halt.reason for halt in ana.desk.store.halts()] == ["another storm"]


def connected(desk: Desk) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(desk.store.status().place))


async def test_a_passkey_that_was_removed_meanwhile_decides_nothing_and_what_it_approved_is_not_sent(
    place: Path | str, tmp_path: Path
) -> None:
    async with ana_at(place, tmp_path) as ana:
        approved, asked_for = await ana.desk.asked("AAPL"), await ana.desk.asked("MSFT")
        assert (await ana.touches(*approve(approved))).status_code == 200
        asked = await ana.asks(*approve(asked_for))
        gone = {"fingerprint": ana.passkeys[0], "digest": ana.desk.store.rosters().head, "passphrase": PASSPHRASE}
        assert (await ana.page.post(REMOVE, gone)).status_code == 200
        assert (await ana.answers(approve(asked_for)[0], asked)).status_code == 403
        assert not decided(ana.desk, asked_for)
        with pytest.raises(Refused, match="not signed by an approver"):
            await ana.desk.guard.send_approved(approved.operation_id, caller=CALLER)
        assert ana.desk.exchange.effects == []


async def test_a_touch_resumes_what_was_shown_and_settles_a_doubt(tmp_path: Path) -> None:
    async with ana_at(tmp_path / "operations.sqlite", tmp_path) as ana:
        halt = await ana.desk.supervisor.halt("a storm", by="root")
        assert (await ana.touches("/api/resume", {"digest": digest_of_halt(halt)})).status_code == 200
        assert ana.desk.store.halts() == ()
        ana.desk.exchange.before.append(raising(OutcomeUnknown("dropped")))
        asked = await ana.desk.asked("AAPL")
        await ana.desk.guard.send_elicited(asked, caller=CALLER, client="Claude")
        doubtful = ana.desk.store.operation(asked.operation_id)
        assert doubtful is not None
        shown = digest_of_row(doubtful, doubtful.rows[0])
        body = {"row": 0, "digest": shown, "took_effect": False, "evidence": "a call"}
        path = f"/api/operations/{asked.operation_id}/settle"
        assert (await ana.touches(path, body)).status_code == 200
        settled = ana.desk.store.operation(asked.operation_id)
        assert settled is not None
        assert settled.rows[0].resolution is not None
        assert settled.rows[0].resolution.evidence == "a call"
        assert ana.desk.store.verify().intact


async def signs_in(ana: Ana, device: Authenticator, name: str = "", **said: str) -> Any:
    """With a passkey, from a browser of one's own: asked at one desk of the store, answered at another."""
    async with page_over(ana.desk) as other, page_over(ana.desk) as elsewhere:
        asked = await other.post("/api/session/passkey", {"name": name})
        if asked.status_code != 200:
            return asked
        assertion = device.signs(asked.json()["sign"]["challenge"], ORIGIN, **said)
        body = {"name": name, "offer": asked.json()["offer"], "assertion": assertion}
        first = await elsewhere.post("/api/session", body)
        again = [await desk.post("/api/session", body) for desk in (elsewhere, other)]
        assert [each.status_code for each in again] == [403, 403]
        return first


async def test_a_passkey_signs_in_once_with_each_answer_and_only_at_its_page(place: Path | str, tmp_path: Path) -> None:
    async with ana_at(place, tmp_path) as ana:
        assert (await signs_in(ana, ana.device)).status_code == 200
        for name, (device, said) in ATTACKS.items():
            refused = await signs_in(ana, replace(ana.device, **device), **said)
            assert refused.status_code == 403, name
        assert (await signs_in(ana, Authenticator())).status_code == 403
        assert (await signs_in(ana, ana.device, "Ben")).status_code == 403
        assert ana.desk.store.journal()[-1].event == "passphrase refused"


async def test_a_signed_yes_that_is_moved_or_changed_in_the_store_sends_nothing(
    place: Path | str, tmp_path: Path
) -> None:
    async with ana_at(place, tmp_path) as ana:
        first, second = await ana.desk.asked("AAPL"), await ana.desk.asked("MSFT")
        assert (await ana.touches(*approve(first))).status_code == 200
        genuine = ana.desk.store.operation(first.operation_id)
        assert genuine is not None
        assert genuine.decision is not None
        ana.device.step = 0
        moved = genuine.decision.changed(operation_id=second.operation_id, digest=second.plan.digest)
        with pytest.raises(Refused):
            ana.desk.store.decide(moved, ana.desk.clock.now())
        assert ana.desk.exchange.effects == []
