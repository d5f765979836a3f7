"""The issuer's keys: read once by however many callers, kept through an outage, found after a rotation."""

from __future__ import annotations

import logging

import anyio
import pytest

from door.signing import EVERYBODY_OF_DESK, ISSUER, RESOURCE, Issuer, by_hand, key_of, public
from positions_mcp.cli.serving.sign_in import SignIn
from positions_mcp.door.app import Streams
from positions_mcp.door.challenges import Challenges
from positions_mcp.door.keys import COOL_DOWN_S, RETRY_S, KeysUnavailable
from positions_mcp.door.tokens import BadToken
from positions_mcp.operating.readiness import Found


@pytest.mark.requirement("O-03")
async def test_callers_who_come_at_once_share_one_reading() -> None:
    issuer = Issuer()
    checker, token = issuer.checker(), issuer.token()
    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(checker.check, token)
    assert issuer.asked == 1


@pytest.mark.requirement("O-03")
async def test_one_who_reads_and_leaves_does_not_take_the_reading_from_others() -> None:
    issuer = Issuer()
    keys, begun, read = issuer.cache(), anyio.Event(), issuer.read_keys
    stays = True

    async def slowly() -> dict[str, object]:
        begun.set()
        if stays:
            await anyio.sleep_forever()
        return await read()

    keys._read = slowly
    async with anyio.create_task_group() as tasks, anyio.create_task_group() as leaving:
        leaving.start_soon(keys.find, "a", "RS256")
        await begun.wait()
        tasks.start_soon(keys.find, "a", "RS256")
        stays = False
        leaving.cancel_scope.cancel()
    assert await keys.find("a", "RS256") is not None
    assert issuer.asked == 1


@pytest.mark.requirement("O-03")
async def test_a_rotated_key_is_found_and_one_that_is_withdrawn_opens_nothing() -> None:
    issuer = Issuer()
    keys = issuer.cache()
    checker = issuer.checker(keys)
    older = issuer.token()
    await checker.check(older)
    issuer.keys.append(public(key_of("RSA", 1), "b", "RS256"))
    newer = issuer.token(key=key_of("RSA", 1), kid="b")
    issuer.seconds += COOL_DOWN_S
    await checker.check(newer)
    await checker.check(older)
    del issuer.keys[0]
    await keys.refresh()
    await checker.check(newer)
    with pytest.raises(BadToken, match="no such key"):
        await checker.check(older)


@pytest.mark.requirement("O-03")
async def test_a_thousand_invented_names_of_keys_ask_the_issuer_once_and_good_tokens_pass_between_them() -> None:
    issuer = Issuer()
    checker, good = issuer.checker(), issuer.token()
    await checker.check(good)
    issuer.seconds += COOL_DOWN_S
    for number in range(1_000):
        with pytest.raises(BadToken, match="no such key"):
            await checker.check(by_hand({"alg": "RS256", "kid": f"x{number}"}, {}))
    await checker.check(good)
    assert issuer.asked == 2


@pytest.mark.requirement("O-03")
async def test_keys_outlast_an_outage_of_any_length_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    issuer = Issuer()
    keys = issuer.cache()
    checker = issuer.checker(keys)
    await keys.refresh()
    issuer.down = True
    for _ in range(5):
        issuer.seconds += 3_600
        await keys.refresh()
        await checker.check(issuer.token())
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    issuer.down = False
    issuer.keys = [public(key_of("RSA", 1), "b", "RS256")]
    await keys.refresh()
    with pytest.raises(BadToken):
        await checker.check(issuer.token())


@pytest.mark.requirement("O-03")
async def test_a_replica_without_keys_is_not_ready_and_one_with_those_from_before_an_outage_is() -> None:
    issuer = Issuer(down=True)
    keys = issuer.cache()
    challenges = Challenges(RESOURCE, ISSUER)
    sign_in = SignIn(keys, issuer.checker(keys), Streams(issuer.clock), challenges, (EVERYBODY_OF_DESK,), ())
    for down, said in (
        (True, Found("the authorization server's keys have not been read yet", blocks=True)),
        (False, Found()),
        (True, Found("the authorization server cannot be reached; its keys are known")),
    ):
        issuer.down = down
        await keys.refresh()
        assert await sign_in.look() == {"sign-in": said}


@pytest.mark.requirement("O-03")
async def test_an_answer_without_a_key_takes_none_away() -> None:
    issuer = Issuer()
    keys = issuer.cache()
    await keys.refresh()
    issuer.keys = []
    await keys.refresh()
    assert await keys.find("a", "RS256") is not None


@pytest.mark.requirement("O-03")
async def test_without_any_key_nobody_is_refused_and_nobody_waits_for_each_of_many_readings() -> None:
    issuer = Issuer(down=True)
    checker, token = issuer.checker(), issuer.token()
    for _ in range(20):
        with pytest.raises(KeysUnavailable):
            await checker.check(token)
    assert issuer.asked == 1
    issuer.down = False
    issuer.seconds += RETRY_S
    assert (await checker.check(token)).subject == "alice"
