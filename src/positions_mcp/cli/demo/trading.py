"""The second half of the demo: a refusal, a supervised close, an answer that is lost, a way out that is declined."""

from __future__ import annotations

import json

from positions_mcp.cli.demo.conversation import Conversation


async def trade(conversation: Conversation) -> None:
    """Three scenes, each through the tools an assistant has."""
    await _refuse_what_would_uncover(conversation)
    await _close_two(conversation)
    await _lose_an_answer(conversation)


async def _refuse_what_would_uncover(conversation: Conversation) -> None:
    answer = await conversation.ask("Sell my NVDA shares.", "preview_close", {"instruments": ["NVDA"]})
    conversation.expect(answer.get("policy") == "refused", "shares that cover a short call are not sold")


async def _close_two(conversation: Conversation) -> None:
    plan = await conversation.ask(
        "Then prepare to close KO and buy back the PLTR short.", "preview_close", {"instruments": ["KO", "PLTR"]}
    )
    report = await conversation.ask("Go ahead.", "close_positions", {"plan_id": plan.get("plan_id")}, approve=True)
    conversation.expect(report.get("sent") == "yes", "what the person approved is sent")
    conversation.screen.note(
        f"A minute later on the paper exchange: {conversation.exchange.run('clock', 'advance', '60s')}"
    )
    operation = {"operation_id": report.get("operation_id"), "wait_s": 0}
    followed = await conversation.ask("Is it done?", "get_operation", operation)
    conversation.expect(followed.get("state") == "CLOSED", "both positions are closed a minute later")


async def _lose_an_answer(conversation: Conversation) -> None:
    conversation.exchange.run("fault", "drop_after_effect", "close_position")
    conversation.screen.note(
        "Now a fault is armed on the exchange: the next close takes effect, and the connection drops before the answer."
    )
    report = await conversation.ask("Close JPM too.", "close_positions", {"instruments": ["JPM"]}, approve=True)
    conversation.expect(report.get("sent") != "no", "a lost answer is not told as nothing sent")
    conversation.exchange.run("clock", "advance", "60s")
    operation = {"operation_id": report.get("operation_id"), "wait_s": 0}
    followed = await conversation.ask("What became of it?", "get_operation", operation)
    conversation.expect(followed.get("state") == "RECONCILED", "the unknown outcome is reconciled from book and orders")
    counts = json.loads(conversation.exchange.run("effects"))["counts"]
    conversation.screen.note(f"The exchange's own count of what had an effect: {counts}.")
    conversation.expect(counts == {"close_position": 3}, "three approved closes had three effects")


async def decline_everything(conversation: Conversation) -> None:
    """The assistant panics; the person does not."""
    report = await conversation.ask("Sell everything!", "close_all_positions", {"cancel_orders": True})
    conversation.expect(report.get("sent") == "no", "nothing is sent when the person says no")
