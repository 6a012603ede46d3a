"""Receivers of notifications that could not be told, and are corrected while the daemon runs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from analyzer.report import Report
from collector.store import Store
from tests.fakes.hand_clock import HandClock
from tests.fakes.patience import until
from tests.fakes.telling import EVALUATE, WORTH_IT, judged, known, telling
from tests.fakes.webhook_receiver import Receiver, config


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(str(tmp_path / "breakeven.db"), HandClock())) as opened:
        yield opened


def test_an_address_that_is_wrong_is_not_hammered_and_counts_anew_when_it_is_corrected(
    store: Store, hook: Receiver, plain: Report
) -> None:
    hook.answers = [404]

    async def go() -> None:
        async with telling(store, config(hook.url)) as (notifier, health):
            notifier.take(judged(plain, EVALUATE))
            await known(store, EVALUATE)
            for _ in range(3):
                notifier.take(judged(plain, WORTH_IT))
                await until(lambda: health.receivers["team"].failures["http_status"] == 1)
                await asyncio.sleep(0.05)
            assert len(hook.received) == 1
            notifier.configure([config(hook.url, timeout="6s")])
            await until(lambda: health.receivers["team"].told == 1)

    asyncio.run(go())


@pytest.mark.fault(
    "5", "the receiver of a notification is down", promise="one that could not be reached is told when it is corrected"
)
def test_a_receiver_that_could_not_be_reached_is_told_once_its_address_is_corrected(
    store: Store, hook: Receiver, plain: Report
) -> None:
    """Nobody takes the connection: a listener whose queue is full, as behind a firewall that drops what comes."""

    async def go(nowhere: str) -> None:
        async with telling(store, config(nowhere, timeout="100ms")) as (notifier, health):
            notifier.take(judged(plain, EVALUATE))
            await known(store, EVALUATE)
            notifier.take(judged(plain, WORTH_IT))
            await until(lambda: health.receivers["team"].failures["timeout"] > 0)
            await known(store, EVALUATE)  # it was never sent
            notifier.configure([config(hook.url)])
            await until(lambda: health.receivers["team"].told == 1)

    with socket.socket() as full, ExitStack() as queued:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(2):
            waiting = queued.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        asyncio.run(go(f"http://127.0.0.1:{full.getsockname()[1]}/"))
    assert [one.body["changes"][0]["verdict"] for one in hook.received] == ["worth_it"]


def test_what_may_have_arrived_is_said_again_after_a_change_of_the_configuration(
    store: Store, hook: Receiver, plain: Report
) -> None:
    """It was sent and no answer came; then the time-out is raised, and the answer comes."""

    async def go() -> None:
        hook.slow.set()
        async with telling(store, config(hook.url, timeout="100ms")) as (notifier, health):
            notifier.take(judged(plain, EVALUATE))
            await known(store, EVALUATE)
            notifier.take(judged(plain, WORTH_IT))
            await until(lambda: health.receivers["team"].failures["timeout"] > 0)
            hook.slow.clear()
            notifier.configure([config(hook.url, timeout="6s")])
            await until(lambda: health.receivers["team"].told == 1)

    asyncio.run(go())
    assert {one.body["changes"][0]["verdict"] for one in hook.received} == {"worth_it"}
