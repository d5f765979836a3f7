"""The page of mandates: what a draft noted beside the signature, what is left, and how an operation went."""

from __future__ import annotations

from datetime import timedelta

import pytest

from desk.pages import ORIGIN, on_a_desk, page_over
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
