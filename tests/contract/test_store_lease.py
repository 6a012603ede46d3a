"""Whose turn it is to analyse: one daemon's at a time, whatever stops, dies or is cut off, and followed in time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from analyzer.verdict import Verdict, VerdictState
from collector.errors import LeaseLostError
from collector.store import Lease, Standing, Store
from collector.store.engine import open_engines
from collector.store.schema import analyser
from tests.contract.postgres_cluster import Cluster
from tests.contract.standing_clock import StandingClock
from tests.contract.store_samples import START_S, registered, sample
from tests.fakes.hand_clock import HandClock

LASTS_S = 60.0
BEAT_S = LASTS_S / 4
DEEDS = ["beat", "write", "wait", "give up"]
SETTLED = {("chat", "w4a16"): VerdictState(Verdict.NO, START_S, None)}


@dataclass(frozen=True, slots=True)
class One:
    """One daemon's store and its view of whose turn it is."""

    store: Store
    lease: Lease

    def concludes(self, at_s: float) -> bool:
        """Keep a report; whether it was this one's turn."""
        try:
            self.store.writer.conclude(SETTLED, at_s, ['{"by": ', '"me"}'], self.lease.guard)
        except LeaseLostError:
            return False
        return True

    def session(self) -> str:
        """The backend of its last beat."""
        return str(self.store._engines.read(lambda connection: connection.execute(analyser.select()).one().session))


def reset(store: Store) -> None:
    """The turn is nobody's, and never was anyone's."""
    store._engines.write(lambda connection: connection.execute(delete(analyser)).rowcount)


@contextmanager
def daemons(url: str, clock: HandClock, number: int) -> Iterator[list[One]]:
    """So many daemons on one database, called a, b, c."""
    with ExitStack() as stack:
        stores = [stack.enter_context(closing(Store.open(url, StandingClock()))) for _ in range(number)]
        yield [One(store, store.lease(clock, LASTS_S, "abc"[n])) for n, store in enumerate(stores)]


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    return HandClock()


@pytest.fixture
def pair(migrated_url: str, clock: HandClock) -> Iterator[list[One]]:
    """Two daemons on one Postgres database; it is a's turn, and b has seen that."""
    with daemons(migrated_url, clock, 2) as both:
        assert both[0].lease.beat() == Standing(True, "a")
        assert both[1].lease.beat() == Standing(False, "a")
        yield both


def test_while_its_holder_beats_the_turn_stays(pair: list[One], clock: HandClock) -> None:
    a, b = pair
    for _ in range(40):
        clock.advance(BEAT_S)
        assert a.lease.beat() == Standing(True, "a")
        assert b.lease.beat() == Standing(False, "a")
    assert (a.concludes(START_S), b.concludes(START_S + 1)) == (True, False)
    assert a.store.reader.report_times() == [START_S]


@pytest.mark.fault(
    "4",
    "two daemons on one database",
    promise="on Postgres one analyses; one that stands still is followed within two intervals, and writes no more",
)
def test_a_holder_that_stands_still_is_followed_and_notices_before_it_writes(pair: list[One], clock: HandClock) -> None:
    """An interval after its last beat, and the beat's quarter before and after: 75 of the 120 s that it may take."""
    a, b = pair
    waited_s, standing = 0.0, Standing(False, "a")
    while not standing.mine:
        clock.advance(BEAT_S)
        waited_s += BEAT_S
        # It counts itself out before the other can be sure.
        assert waited_s < LASTS_S or not a.lease.held()
        standing = b.lease.beat()
    assert waited_s <= 2 * LASTS_S
    assert b.concludes(START_S)

    assert not a.concludes(START_S + 1)
    key, epoch = registered(a.store)
    a.store.writer.append([sample(key, epoch, START_S + 15 * n) for n in range(2)])
    with pytest.raises(LeaseLostError):
        a.store.roll_up(START_S + 7200, a.lease.check)
    assert b.store.roll_up(START_S + 7200, b.lease.check) == 2
    assert not a.lease.held()
    assert a.lease.beat() == Standing(False, "b")
    assert a.store.reader.report_times() == [START_S]
    assert a.store.reader.verdicts() == SETTLED


def test_a_holder_that_nobody_followed_goes_on(pair: list[One], clock: HandClock) -> None:
    a, _ = pair
    clock.advance(100 * LASTS_S)
    assert not a.lease.held()
    assert a.lease.beat() == Standing(True, "a")
    assert a.concludes(START_S)


def test_one_that_slept_itself_takes_nothing_from_a_holder_that_beats(pair: list[One], clock: HandClock) -> None:
    a, b = pair
    for _ in range(8):
        clock.advance(BEAT_S)
        a.lease.beat()
    assert b.lease.beat() == Standing(False, "a")


def test_a_turn_that_is_given_up_is_taken_at_once(pair: list[One]) -> None:
    a, b = pair
    a.lease.release()
    assert not a.lease.held()
    assert b.lease.beat() == Standing(True, "b")
    assert a.lease.beat() == Standing(False, "b")


def test_what_no_longer_holds_the_turn_gives_up_nothing(pair: list[One], clock: HandClock) -> None:
    a, b = pair
    clock.advance(LASTS_S)
    assert b.lease.beat().mine
    a.lease.release()
    assert b.lease.beat() == Standing(True, "b")
    assert b.concludes(START_S)


def test_a_holder_whose_session_ended_is_followed_at_once(pair: list[One], postgres: Cluster) -> None:
    """A killed process's connection ends with it."""
    a, b = pair
    postgres.run(f"SELECT pg_terminate_backend({a.session().partition('/')[0]}, 10000)")
    assert b.lease.beat() == Standing(True, "b")
    assert not a.concludes(START_S)
    assert a.lease.beat() == Standing(False, "b")


def test_a_holder_whose_session_was_cut_goes_on_with_another(pair: list[One], postgres: Cluster) -> None:
    a, b = pair
    postgres.run(f"SELECT pg_terminate_backend({a.session().partition('/')[0]}, 10000)")
    assert a.lease.beat() == Standing(True, "a")
    assert b.lease.beat() == Standing(False, "a")


def test_a_transaction_that_stands_still_does_not_keep_the_turn(pair: list[One], clock: HandClock) -> None:
    """Stopped between its first statement and its commit, a holder keeps the row only as long as its turn lasts."""
    a, _ = pair
    with closing(Store.open(a.store._engines.place.url.render_as_string(hide_password=False), clock)) as other:
        short = other.lease(clock, 0.3, "short")
        a.lease.release()
        assert short.beat().mine
        with other._engines.writing.connect() as connection:
            connection.begin()
            short.guard(connection)
            clock.advance(1.0)
            # Waits for the row, until the server ends the transaction that holds it.
            assert a.lease.beat().holder in ("a", "short")
            clock.advance(1.0)
            assert a.lease.beat() == Standing(True, "a")
            connection.invalidate()


def test_a_database_without_tables_yet_gets_them_before_anyone_asks_whose_turn_it_is(
    postgres: Cluster, postgres_database: str, clock: HandClock
) -> None:
    """It was away when the daemon started."""
    store = Store(open_engines(postgres.url(postgres_database)), clock, None, None)
    with closing(store):
        assert store.lease(clock, LASTS_S, "a").beat() == Standing(True, "a")


def test_a_row_that_was_lost_is_made_again(pair: list[One]) -> None:
    a, b = pair
    reset(a.store)
    assert not a.concludes(START_S)
    assert b.lease.beat() == Standing(True, "b")
    assert a.lease.beat() == Standing(False, "b")


def test_never_do_two_hold_the_turn_and_only_its_holder_writes(migrated_url: str) -> None:
    """Three daemons beat, write, wait and give up in any order, and none of them has to do so in time."""
    begun = itertools.count()

    with daemons(migrated_url, HandClock(), 3) as stores:

        @given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(DEEDS)), max_size=40))
        @settings(max_examples=40)
        def in_any_order(steps: list[tuple[int, str]]) -> None:
            clock, at_s = HandClock(), START_S + 1000.0 * next(begun)
            reset(stores[0].store)
            several = [One(one.store, one.store.lease(clock, LASTS_S, "abc"[n])) for n, one in enumerate(stores)]
            for number, what in steps:
                one, at_s = several[number], at_s + 1
                if what == "beat":
                    assert one.lease.beat().mine == one.lease.held()
                elif what == "write":
                    row = one.store._engines.read(lambda connection: connection.execute(analyser.select()).first())
                    assert one.concludes(at_s) == (row is not None and row.holder == "abc"[number])
                elif what == "give up":
                    one.lease.release()
                else:
                    clock.advance(LASTS_S / 2)
                assert sum(each.lease.held() for each in several) <= 1

        in_any_order()


def test_the_writer_of_a_sqlite_file_analyses_while_its_lock_stands(tmp_path: Path, clock: HandClock) -> None:
    with closing(Store.open(str(tmp_path / "run.db"), clock)) as store:
        one = One(store, store.lease(clock, LASTS_S, "a"))
        clock.advance(100 * LASTS_S)
        assert one.lease.beat() == Standing(True, "a")
        assert one.concludes(START_S)
        (tmp_path / "run.db.lock").unlink()
        assert one.lease.beat() == Standing(False, None)
        assert not one.concludes(START_S + 1)
        assert store.reader.report_times() == [START_S]
