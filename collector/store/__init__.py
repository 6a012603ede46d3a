"""What was measured and concluded, kept in SQLite or Postgres.

`Store.open` is the way in: `writer`, `reader`, `roll_up`, `seal` and `prune`. Everything here is synchronous; a daemon
calls the writing side from one thread of its own. Every failure of the database is a `StoreError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sqlalchemy import select

from collector.clock import Clock
from collector.errors import StoreAwayError, StoreError
from collector.store.apart import in_a_child
from collector.store.backlog import Backlog, Held, Oldest
from collector.store.conclusions import REPORT_SPACING_S
from collector.store.engine import Engines, make_folder, open_engines, read_only
from collector.store.export import Said, export_to
from collector.store.exported import Manifest
from collector.store.imports import checked, import_from
from collector.store.lease import FileLease, Guard, Lease, RowLease, Standing, own_name
from collector.store.lock import FileLock
from collector.store.migrate import SchemaState, SchemaStatus, Upgrade, refusing_newer, require_current, status, upgrade
from collector.store.place import place
from collector.store.read import Reader
from collector.store.records import Appended, Epoch, RegisteredReplica, StoredReport
from collector.store.recover import set_aside_if_unusable
from collector.store.retention import Keep, Pruned, pruning, used_bytes
from collector.store.rollup import rolling_up
from collector.store.room import Room, room_beside
from collector.store.sealing import seal
from collector.store.steps import Steps
from collector.store.write import Writer

__all__ = [
    "REPORT_SPACING_S",
    "Appended",
    "Epoch",
    "Held",
    "Keep",
    "Lease",
    "Manifest",
    "Oldest",
    "Pruned",
    "Reader",
    "RegisteredReplica",
    "Room",
    "SchemaStatus",
    "Standing",
    "Steps",
    "Store",
    "StoredReport",
    "Upgrade",
    "Writer",
    "checked",
    "place",
    "schema_status",
]


def schema_status(url: str) -> SchemaStatus:
    """How a database's schema stands to this release; reads only. Raises StoreError."""
    engines = open_engines(url)
    try:
        return status(engines)
    finally:
        engines.close()


def _upgraded(url: str, clock: Clock) -> Upgrade:
    engines = open_engines(url)
    try:
        return upgrade(engines, clock)
    finally:
        engines.close()


class Store:
    """One open database.

    `upgraded` says what bringing its schema up to date did; `set_aside` names the unusable file that a fresh one
    replaced, None when all was well: whoever opened the store must say so loudly. `damaged_blocks` are those of sealed
    samples that could not be read so far, by the samples' table.
    """

    def __init__(self, engines: Engines, clock: Clock | None, lock: FileLock | None, set_aside: Path | None) -> None:
        """`clock` is for bringing the schema up to date; None where the store is only read."""
        self.writer = Writer(engines)
        self.reader = Reader(engines)
        self.backlog = Backlog(engines)
        self.upgraded: Upgrade | None = None
        self.set_aside = set_aside
        self.damaged_blocks: Mapping[str, int] = engines.damaged.found
        self._engines = engines
        self._clock = clock
        self._lock = lock

    @classmethod
    def open(cls, url: str, clock: Clock, *, even_away: bool = False, lean: bool = False) -> Store:
        """Open for writing: make or upgrade the schema, move an unusable SQLite file aside, keep other writers out.

        `even_away` opens a Postgres that cannot be reached as well: `prepare` then does the rest once it is back.
        `lean` leaves what only an upgrade needs out of this process, which may run for months.
        Raises StoreError; SchemaTooNewError when a newer release wrote the database.
        """
        engines = refusing_newer(open_engines(url))
        path = engines.place.path
        make_folder(engines.place)
        lock = None if path is None else FileLock(path)
        try:
            store = cls(engines, clock, lock, None if path is None else set_aside_if_unusable(path, clock))
            try:
                if lean and schema_status(url).state in (SchemaState.EMPTY, SchemaState.BEHIND):
                    store.upgraded = in_a_child(partial(_upgraded, url, clock))
                store.prepare()
            except StoreAwayError:
                if not even_away:
                    raise
        except BaseException:
            engines.close()
            if lock is not None:
                lock.release()
            raise
        return store

    def prepare(self) -> None:
        """Make or upgrade the schema unless this was done. Raises StoreError."""
        if self.upgraded is None and self._clock is not None:
            self.upgraded = upgrade(self._engines, self._clock)

    def reach(self) -> None:
        """See whether the database can be written to. Raises StoreError."""
        self.prepare()
        self._engines.write(lambda connection: connection.execute(select(1)))

    @classmethod
    def open_to_read(cls, url: str) -> Store:
        """Open beside a running daemon, changing nothing: what would write raises StoreError.

        Raises StoreError when there is no database or its schema is not this release's.
        """
        where = place(url)
        if where.path is not None and not where.path.exists():
            raise StoreError(f"{where.text} does not exist: start `breakeven run` first")
        engines = read_only(open_engines(url))
        try:
            require_current(engines)
        except BaseException:
            engines.close()
            raise
        return cls(engines, None, None, None)

    @property
    def place(self) -> str:
        """Where the database is, without a password."""
        return self._engines.place.text

    @property
    def file(self) -> Path | None:
        """The SQLite file; None for Postgres."""
        return self._engines.place.path

    def roll_up(self, now_s: float, check: Guard = lambda _: None) -> int:
        """Make the totals of the buckets that ended by `now_s`; how many. `check` goes first in each transaction.

        Raises StoreError, and what `check` raises.
        """
        return self.rolling_up(now_s, check).all()

    def rolling_up(self, now_s: float, check: Guard = lambda _: None) -> Steps[int]:
        """`roll_up` step by step, for who has samples to write meanwhile. Raises StoreError."""
        self.prepare()
        return rolling_up(self._engines, now_s, check)

    def seal(self, now_s: float) -> int:
        """Put the oldest five minutes of raw rows that are old enough at `now_s` into blocks; how many rows.

        0 when none are left. Readers see no difference. Raises StoreError.
        """
        self.prepare()
        return seal(self._engines, now_s)

    def prune(self, keep: Keep, now_s: float, *, tight: bool = False) -> Pruned:
        """Delete what is too old at `now_s`; `tight` gives all space that this frees back to the disk.

        Raises StoreError.
        """
        return self.pruning(keep, now_s, tight=tight).all()

    def pruning(self, keep: Keep, now_s: float, *, tight: bool = False) -> Steps[Pruned]:
        """`prune` step by step, for who has samples to write meanwhile. Raises StoreError."""
        self.prepare()
        return pruning(self._engines, keep, now_s, tight=tight)

    def give_back(self) -> None:
        """Drop the pages that reading connections to a SQLite file keep in memory. Raises StoreError."""
        if self._engines.sqlite:
            self._engines.read(lambda connection: connection.exec_driver_sql("PRAGMA shrink_memory"))

    def lease(self, clock: Clock, lasts_s: float, name: str | None = None) -> Lease:
        """The turn to analyse, lost when it is not renewed for `lasts_s`; this process's name is its own by default."""
        named = own_name() if name is None else name
        if self._engines.sqlite:
            return FileLease(self._lock, named)
        return RowLease(self._engines, clock, lasts_s, named, self.prepare)

    def export_to(self, folder: Path, release: str, clock: Clock, said: Said) -> Manifest:
        """Write all that is stored into an empty folder, as of one moment. Raises StoreError."""
        return export_to(self._engines, folder, release, clock, said)

    def import_from(self, folder: Path, manifest: Manifest, said: Said) -> None:
        """Read an export into this database, which must hold nothing yet. Raises StoreError."""
        import_from(self._engines, folder, manifest, said)

    def room(self) -> Room | None:
        """The room on the disk of a SQLite file; None for Postgres, which has its own. Raises StoreError."""
        return None if self.file is None else room_beside(self.file)

    def used_bytes(self) -> int:
        """Bytes that the stored rows use. Raises StoreError."""
        return used_bytes(self._engines)

    def close(self) -> None:
        """Close every connection and let the next writer in."""
        self._engines.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None
