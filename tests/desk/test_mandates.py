"""The page of mandates: what a draft noted beside the signature, what is left, and how an operation went."""

from __future__ import annotations

from datetime import timedelta

import pytest

from desk.pages import ORIGIN, goes_over, on_a_desk, page_over
from desk.test_passkeys import Ana
from guard.delegated import sent_without_question, terms
from guard.desk import PASSPHRASE, Desk
from positions_mcp.guard.delegating import Delegation


@pytest.mark.requirement("G-16", "D-01")
@on_a_desk
async def test_a_mandate_is_signed_used_and_revoked_at_the_page(desk: Desk) -> None:
    draft = await Delegation(desk.parts).draft(terms(operations=2), by="ana", shadow=timedelta(days=1))
    async with page_over(desk) as page:
        await page.sign_in()
        headers = {"origin": ORIGIN, "x-desk-token": page.token}

        async def only() -> dict[str, object]:
            (found,) = (await page.http.get("/api/mandates", headers=headers)).json()["mandates"]
            return dict(found)

        shown = await only()
        assert (shown["state"], shown["is_draft"], shown["noted"]) == ("draft, noting plans", True, 0)
        body = {"digest": shown["digest"], "passphrase": PASSPHRASE}
        answer = await page.http.post(f"/api/mandates/{draft.mandate_id}/sign", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        assert (await only())["state"] == "in force"
        report = await sent_without_question(desk, "AAPL")
        assert report is not None
        assert "left: 1 of 2 operations" in str((await only())["left"])
        history = (await page.http.get("/api/operations", headers=headers)).json()["operations"]
        assert [each["mandate"] for each in history] == [draft.mandate_id]
        answer = await page.http.post(f"/api/mandates/{draft.mandate_id}/revoke", json={}, headers=headers)
        assert answer.status_code == 200
        assert (await only())["state"] == "revoked"
        assert await sent_without_question(desk, "MSFT") is None


TYPED = {
    "account": "19816",
    "kinds": ["close"],
    "instruments": ["aapl", " msft ", ""],
    "per_operation": "$16,000",
    "in_all": "20000",
    "operations": "3",
    "prices": ["AAPL:100:"],
    "until": "23:59",
    "callers": [],
}


@pytest.mark.requirement("G-16", "D-01")
@on_a_desk
async def test_what_is_typed_at_the_page_is_a_draft_with_those_terms_which_a_passkey_signs(desk: Desk) -> None:
    async with page_over(desk) as page, page_over(desk) as other:
        await page.sign_in()
        made = await page.post("/api/mandates", TYPED)
        assert made.status_code == 200, made.text
        (shown,) = (await page.read("/api/mandates"))["mandates"]
        assert (shown["id"], shown["state"]) == (made.json()["id"], "draft, noting plans")
        assert "Close positions: AAPL, MSFT" in shown["lines"]
        assert "Only while AAPL costs at least $100" in shown["lines"]
        assert await sent_without_question(desk, "AAPL") is None
        goes_over(page, other)
        ana = Ana(desk, page, other)
        await ana.adds()
        answer = await ana.touches(f"/api/mandates/{shown['id']}/sign", {"digest": shown["digest"]})
        assert answer.status_code == 200, answer.text
        (shown,) = (await page.read("/api/mandates"))["mandates"]
        assert (shown["state"], shown["signed_by"], shown["why_not_signed"]) == ("in force", "approver", "")
        assert await sent_without_question(desk, "AAPL") is not None
        roster = await page.read("/api/approvers")
        away = {"fingerprint": ana.passkeys[0], "digest": roster["digest"], "passphrase": PASSPHRASE}
        assert (await page.post("/api/approvers/passkeys/remove", away)).status_code == 200
        assert await sent_without_question(desk, "MSFT") is None
        (shown,) = (await page.read("/api/mandates"))["mandates"]
        assert shown["state"] == "NOT SIGNED by who may"
        assert "is not signed by an approver of the roster" in shown["why_not_signed"]


WRONG: dict[str, tuple[dict[str, object], str]] = {
    "another account": ({"account": "2"}, "none of this page's"),
    "no account": ({"account": ""}, "account is missing"),
    "no instruments": ({"instruments": []}, "names instruments or underlyings"),
    "instruments that are no list": ({"instruments": "KO"}, "instruments is a list"),
    "no amount": ({"in_all": ""}, "in all '' is no amount"),
    "not a number": ({"operations": "many"}, "operations 'many' is no number"),
    "no end": ({"operations": "0"}, "operations"),
    "a close of all": ({"kinds": ["close_all_positions"]}, "kinds"),
    "a price of another": ({"prices": ["JPM:1:2"]}, "which it does not name"),
    "no time": ({"until": "noon"}, "until 'noon' is no time of day"),
    "nothing": ({"in_all": "NaN"}, "in all"),
    "nothing to note": ({"shadow_days": "0"}, "shadow days 0: from 1 to 31 days"),
    "longer than a draft notes": ({"shadow_days": "32"}, "shadow days 32: from 1 to 31 days"),
}


@pytest.mark.parametrize("name", WRONG)
@on_a_desk
async def test_what_means_nothing_is_said_in_words_and_not_kept(desk: Desk, name: str) -> None:
    changes, why = WRONG[name]
    async with page_over(desk) as page:
        await page.sign_in()
        answer = await page.post("/api/mandates", TYPED | changes)
        assert answer.status_code == 400
        assert why in answer.json()["error"]
    assert desk.store.mandates() == ()
