"""Whether it is a daemon's turn to analyse shows in its health, its notices and its log, and only changes are told."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest
from sqlalchemy import Connection

from collector.errors import SchemaTooNewError, StoreError
from collector.health import DaemonHealth
from collector.jobs.turn import Turn, lasts_s
from collector.store import Standing
from tests.fakes.hand_clock import HandClock

LASTS_S = 60.0
UNKNOWN = "which daemon makes the reports is not known since 2027-01-15 08:00:00 UTC: the database does not answer"
"""A hand clock begins at 1,800,000,000."""


class Told:
    """A lease that says what a test tells it to; None: the database does not answer."""

    def __init__(self) -> None:
        self.next: Standing | None = None
        self.error = StoreError("the database is away")
        self.let_answer = threading.Event()
        self.let_answer.set()

    def beat(self) -> Standing:
        self.let_answer.wait()
        if self.next is None:
            raise self.error
        return self.next

    def held(self) -> bool:
        return self.next is not None and self.next.mine

    def guard(self, connection: Connection) -> None:
        raise NotImplementedError

    check = guard

    def release(self) -> None:
        """Nobody waits for it."""


def test_changes_are_told_noticed_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A database that does not answer for less than a turn's length changes nothing; after that nobody is named."""
    lease, health, clock, changes = Told(), DaemonHealth(started_s=0.0), HandClock(), list[bool]()
    turn = Turn(lease, health, LASTS_S, clock)

    async def see(standing: Standing | None) -> tuple[str | None, list[str]]:
        lease.next = standing
        await turn.look(changes.append)
        return health.analyser, list(health.notices)

    async def go() -> None:
        assert await see(Standing(False, "b:1")) == ("b:1", ["b:1 makes the reports shown here"])
        assert await see(Standing(False, "b:1")) == ("b:1", ["b:1 makes the reports shown here"])
        assert changes == []
        assert await see(Standing(True, "a:1")) == ("a:1", [])
        assert await see(Standing(True, "a:1")) == ("a:1", [])
        assert changes == [True]
        clock.advance(LASTS_S - 1)
        assert await see(None) == ("a:1", [])
        clock.advance(1)
        assert await see(None) == (None, [UNKNOWN])
        clock.advance(LASTS_S)
        assert await see(None) == (None, [UNKNOWN])
        assert await see(Standing(True, "a:1")) == ("a:1", [])
        assert changes == [True]
        assert await see(Standing(False, "c:1")) == ("c:1", ["c:1 makes the reports shown here"])
        assert changes == [True, False]

    with caplog.at_level(logging.INFO):
        asyncio.run(go())
    turn.close(1.0)
    assert [one.getMessage().partition(";")[0] for one in caplog.records] == [
        "another daemon analyses",
        "this daemon analyses",
        *["whose turn it is to analyse is not known"] * 3,
        "this daemon analyses",
        "another daemon analyses",
    ]


def test_over_a_cut_network_nobody_is_named_before_the_silence_is_an_error() -> None:
    """The beat stands still: the answer of before is no longer believed while it does, and is again afterwards."""
    lease, health = Told(), DaemonHealth(started_s=0.0)
    turn = Turn(lease, health, 0.04, HandClock())

    async def go() -> None:
        lease.next = Standing(False, "b:1")
        await turn.look(lambda _: None)
        lease.let_answer.clear()
        looking = asyncio.create_task(turn.look(lambda _: None))
        async with asyncio.timeout(60):
            while health.analyser is not None:  # noqa: ASYNC110 - the turn tells nobody when it names nobody
                await asyncio.sleep(0.01)
        assert health.notices == [UNKNOWN]
        assert not looking.done()
        lease.let_answer.set()
        await looking
        assert health.analyser == "b:1"
        assert health.notices == ["b:1 makes the reports shown here"]

    asyncio.run(go())
    turn.close(1.0)


def test_a_database_of_a_newer_release_is_said_to_be_one() -> None:
    lease, health, clock = Told(), DaemonHealth(started_s=0.0), HandClock()
    lease.error = SchemaTooNewError("a newer release wrote it")
    turn = Turn(lease, health, LASTS_S, clock)
    clock.advance(LASTS_S)
    asyncio.run(turn.look(lambda _: None))
    turn.close(1.0)
    assert health.notices == [UNKNOWN.replace("the database does not answer", "a newer release wrote it")]


def test_a_turn_that_comes_with_the_start_is_no_change() -> None:
    lease, changes = Told(), list[bool]()
    lease.next = Standing(True, "a:1")
    turn = Turn(lease, DaemonHealth(started_s=0.0), LASTS_S, HandClock())
    asyncio.run(turn.look(changes.append))
    turn.close(1.0)
    assert changes == []


@pytest.mark.parametrize(("interval_s", "lasts"), [(2.0, 2.0), (60.0, 60.0), (3600.0, 60.0)])
def test_a_takeover_takes_at_most_one_and_a_half_intervals(interval_s: float, lasts: float) -> None:
    """A turn's length, and a quarter of it before its last beat is seen and another before it is looked for again."""
    assert lasts_s(interval_s) == lasts
    assert lasts * (1 + 1 / 4 + 1 / 4) <= 1.5 * interval_s
