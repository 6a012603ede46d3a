"""Which of several daemons on one database analyses: one at a time, and one that lost its turn writes nothing.

In Postgres a row holds the turn. Its holder adds to the row's beat; whoever waits takes the turn once the beat has
stood still, by a monotonic clock of its own, for as long as the holder promised, or at once when the holder gave up
or its session is gone from the server. So no clock is compared with another, and none can step. A holder that was
stopped or cut off counts itself out by its own clock before anyone can take over, and what it writes is bound to its
term in the same transaction.

A SQLite file has one writing process, by a lock that the kernel drops with it: that process analyses.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, select, text, update

from collector.clock import Clock
from collector.errors import LeaseLostError
from collector.store.engine import Engines
from collector.store.lock import FileLock
from collector.store.schema import analyser
from collector.store.statements import insert_into

Guard = Callable[[Connection], None]
_ROW = 1
_LOST = "another daemon analyses meanwhile: what this one concluded is not kept"
_SESSION = text(
    "SELECT pid || '/' || extract(epoch FROM backend_start) FROM pg_stat_activity WHERE pid = pg_backend_pid()"
)
_SESSION_LIVES = text(
    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = CAST(:pid AS integer)"
    " AND (backend_start IS NULL OR CAST(extract(epoch FROM backend_start) AS text) = :start))"
)
"""Who may not see another role's sessions sees their numbers, and takes them for alive."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether this daemon analyses, and the name of the one that does (None: none does)."""

    mine: bool
    holder: str | None


class Lease(Protocol):
    """The turn to analyse, as one daemon sees it."""

    def beat(self) -> Standing:
        """Go on holding the turn, or take it where it is free. Raises StoreError."""

    def held(self) -> bool:
        """Whether the turn is ours now, without asking the database."""

    def guard(self, connection: Connection) -> None:
        """Within a transaction: nobody else has the turn before its end. Raises LeaseLostError."""

    def check(self, connection: Connection) -> None:
        """Nobody else has the turn now: enough where two at once do no harm. Raises LeaseLostError."""

    def release(self) -> None:
        """Let the next one in. Raises StoreError."""


def own_name() -> str:
    """This process among those of all machines: host and process number."""
    return f"{socket.gethostname()}:{os.getpid()}"


class FileLease:
    """The turn of the process that holds a SQLite file's lock."""

    def __init__(self, lock: FileLock | None, name: str) -> None:
        self._lock = lock
        self._name = name

    def beat(self) -> Standing:
        """Whether the lock still stands."""
        return Standing(True, self._name) if self.held() else Standing(False, None)

    def held(self) -> bool:
        """False where the lock's file was removed: another process may hold a new one."""
        return self._lock is not None and self._lock.stands()

    def guard(self, connection: Connection) -> None:
        """The lock stands. Raises LeaseLostError."""
        del connection
        if not self.held():
            raise LeaseLostError("the lock beside the SQLite file was removed: start the daemon again")

    check = guard

    def release(self) -> None:
        """The lock goes with the store."""


class RowLease:
    """The turn by a row of a Postgres database. One thread beats; `held` and `guard` may be asked from others."""

    def __init__(
        self, engines: Engines, clock: Clock, lasts_s: float, name: str, prepare: Callable[[], None] = lambda: None
    ) -> None:
        """The turn is lost when no beat succeeds for `lasts_s`; `prepare` makes the tables where they are lacking."""
        self._engines = engines
        self._prepare = prepare
        self._clock = clock
        self._lasts_s = lasts_s
        self._name = name
        self._term: int | None = None
        self._confirmed_s = -lasts_s
        self._seen: tuple[int, int] | None = None
        self._seen_s = 0.0

    def beat(self) -> Standing:
        """Go on, or take the turn where nobody has it. Raises StoreError."""
        self._prepare()
        started_s = self._clock.monotonic_s()
        term, holder, row = self._engines.beat(lambda connection: self._look(connection, started_s))
        self._term = term
        if term is not None:
            self._confirmed_s = started_s
        elif row != self._seen:
            self._seen, self._seen_s = row, self._clock.monotonic_s()
        return Standing(term is not None, holder)

    def held(self) -> bool:
        """Whether a beat succeeded lately: before anyone else could take the turn, it no longer counts as ours."""
        return self._term is not None and self._clock.monotonic_s() - self._confirmed_s < self._lasts_s

    def guard(self, connection: Connection) -> None:
        """Hold the row until the transaction ends. Raises LeaseLostError."""
        # A holder that stands still in here must not keep the others out for longer than it may.
        limit = text("SELECT set_config('idle_in_transaction_session_timeout', :limit_ms, true)")
        connection.execute(limit, {"limit_ms": str(max(1, round(self._lasts_s * 1000)))})
        beating = update(analyser).where(self._ours(self._term)).values(beat=analyser.c.beat + 1)
        if self._term is None or connection.execute(beating).rowcount == 0:
            raise LeaseLostError(_LOST)

    def check(self, connection: Connection) -> None:
        """Look at the row without holding it. Raises LeaseLostError."""
        mine = select(analyser.c.id).where(self._ours(self._term))
        if self._term is None or connection.execute(mine).first() is None:
            raise LeaseLostError(_LOST)

    def release(self) -> None:
        """Give the turn up where it is ours. Raises StoreError."""
        term, self._term = self._term, None
        if term is not None:
            ending = update(analyser).where(self._ours(term)).values(holder=None, session=None)
            self._engines.beat(lambda connection: connection.execute(ending))

    def _ours(self, term: int | None) -> ColumnElement[bool]:
        """The row in our term. A database that was restored counts terms anew, so the name belongs to it."""
        return (analyser.c.id == _ROW) & (analyser.c.term == term) & (analyser.c.holder == self._name)

    def _look(self, connection: Connection, started_s: float) -> tuple[int | None, str | None, tuple[int, int]]:
        """Our term (None: not our turn), the holder, and the row's state; may run twice."""
        first = {"id": _ROW, "term": 0, "beat": 0, "lasts_ms": 0}
        row = connection.execute(select(analyser).where(analyser.c.id == _ROW)).first()
        if row is None:
            connection.execute(insert_into(connection, analyser).on_conflict_do_nothing(), first)
            row = connection.execute(select(analyser).where(analyser.c.id == _ROW)).one()
        kept: dict[str, Any] = {"session": connection.execute(_SESSION).scalar()}
        if self._term is not None and (row.term, row.holder) == (self._term, self._name):
            self._engines.fit(connection)
            beating = update(analyser).where(self._ours(row.term)).values(beat=analyser.c.beat + 1, **kept)
            if connection.execute(beating).rowcount > 0:
                return row.term, self._name, (row.term, row.beat)
            return None, _holder(connection), (row.term, row.beat)
        seen = (row.term, row.beat)
        still_s = started_s - self._seen_s if seen == self._seen else 0.0
        if row.holder is not None and still_s < row.lasts_ms / 1000 and _lives(connection, row.session):
            return None, row.holder, seen
        self._engines.fit(connection)
        kept |= {"term": row.term + 1, "beat": 0, "holder": self._name, "lasts_ms": round(self._lasts_s * 1000)}
        same = (analyser.c.id == _ROW) & (analyser.c.term == row.term) & (analyser.c.beat == row.beat)
        taking = update(analyser).where(same).values(**kept)
        if connection.execute(taking).rowcount == 0:
            return None, _holder(connection), seen
        return row.term + 1, self._name, (row.term + 1, 0)


def _lives(connection: Connection, session: str | None) -> bool:
    """Whether a backend still runs; one that is not told does."""
    if session is None:
        return True
    pid, _, start = session.partition("/")
    return bool(connection.execute(_SESSION_LIVES, {"pid": pid, "start": start}).scalar())


def _holder(connection: Connection) -> str | None:
    return connection.execute(select(analyser.c.holder).where(analyser.c.id == _ROW)).scalar()
