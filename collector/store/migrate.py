"""Brings the schema up to date with the migrations that came with the package, one process at a time.

The whole upgrade is one transaction on both databases: a crash leaves the former schema, and the next start tries
again. A SQLite file that holds a schema is copied first. alembic is imported only when there is something to do.
"""

from __future__ import annotations

import logging
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table, text

from collector.clock import Clock
from collector.errors import SchemaTooNewError, StoreError
from collector.store.engine import Engines, make_folder, translated
from collector.store.schema import metadata

_VERSIONS = table("alembic_version", column("version_num"))
_ADVISORY_LOCK = 0x627265616B6576
"""Any number that no other program picks: the bytes of "breakev"."""
_VERSION_FILE = re.compile(r"([0-9]{4})_\w+\.py")


class SchemaState(StrEnum):
    """How a database's schema stands to this release."""

    EMPTY = "empty"
    CURRENT = "current"
    BEHIND = "behind"
    NEWER = "newer"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """The database's revision (None: no schema yet), the one this release brings, and what follows."""

    current: str | None
    head: str
    state: SchemaState


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade did: the revision before (None: none), the one after, and the copy made of a SQLite file."""

    before: str | None
    after: str
    copy: Path | None

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return self.before != self.after


def migrations_path() -> Path:
    """The migrations beside the installed package, else those of the checkout."""
    package = Path(__file__).parent.parent
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def revisions(scripts: Path) -> tuple[str, ...]:
    """The revisions of a migrations folder, oldest first: they are numbered, and file names begin with the number.

    Raises StoreError when there are none: the installation is incomplete.
    """
    found = (_VERSION_FILE.fullmatch(file.name) for file in (scripts / "versions").glob("*.py"))
    numbers = tuple(sorted(match[1] for match in found if match is not None))
    if not numbers:
        raise StoreError(f"no migrations in {scripts}: the installation is incomplete, install breakeven again")
    return numbers


def head(scripts: Path | None = None) -> str:
    """The revision that this release brings."""
    return revisions(scripts or migrations_path())[-1]


def current(engines: Engines) -> str | None:
    """The database's revision, None where there is no schema. Raises StoreError."""
    return None if _missing(engines) else engines.read(_revision)


def status(engines: Engines, scripts: Path | None = None) -> SchemaStatus:
    """How the database stands to this release; reads only. Raises StoreError."""
    known = revisions(scripts or migrations_path())
    if _missing(engines):
        return SchemaStatus(None, known[-1], SchemaState.EMPTY)
    return engines.read(lambda connection: _status(connection, known))


def upgrade(engines: Engines, clock: Clock, scripts: Path | None = None) -> Upgrade:
    """Bring the database to `head`. Safe from several processes at once: one works, the others wait for it.

    Raises SchemaTooNewError for a database written by a newer release and StoreError for one that is not ours or
    cannot be upgraded; nothing has changed then.
    """
    folder = scripts or migrations_path()
    make_folder(engines.place)
    if not engines.sqlite:
        # Whoever only starts must not wait for others' writes.
        found = status(engines, folder)
        if found.state is SchemaState.CURRENT:
            return Upgrade(found.current, found.head, None)
    with translated(engines.place), engines.migrating.begin() as connection:
        if not engines.sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        found = _status(connection, revisions(folder))
        _check(found, engines)
        if found.state is SchemaState.CURRENT:
            return Upgrade(found.current, found.head, None)
        copy = _copy(engines.place.path, found, clock) if found.current is not None else None
        _run(connection, folder, engines)
        return Upgrade(found.current, found.head, copy)


def require_current(engines: Engines) -> None:
    """Raises StoreError unless the schema is exactly this release's; changes nothing."""
    found = status(engines)
    _check(found, engines)
    if found.state is not SchemaState.CURRENT:
        revision = "has no schema yet" if found.current is None else f"is at revision {found.current}"
        raise StoreError(f"{engines.place.text} {revision}, {found.head} is needed: run `breakeven db upgrade`")


def refusing_newer(engines: Engines, scripts: Path | None = None) -> Engines:
    """The same database, whose every write first sees that no newer release has upgraded it meanwhile.

    An upgrade waits for the writes in hand, and those that come wait for it.
    """
    known = revisions(scripts or migrations_path())

    def fit(connection: Connection) -> None:
        if not engines.sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": _ADVISORY_LOCK})
        revision = connection.execute(select(_VERSIONS.c.version_num)).scalar()
        if revision is not None and revision not in known:
            raise _too_new(engines, revision, known[-1])

    return replace(engines, fit=fit)


def _missing(engines: Engines) -> bool:
    return engines.place.path is not None and not engines.place.path.exists()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSIONS.name):
        return None
    return connection.execute(select(_VERSIONS.c.version_num)).scalar()


def _status(connection: Connection, known: tuple[str, ...]) -> SchemaStatus:
    revision = _revision(connection)
    if revision is None:
        present = set(inspect(connection).get_table_names())
        ours = set(metadata.tables)
        foreign = present if connection.dialect.name == "sqlite" else present & ours
        return SchemaStatus(None, known[-1], SchemaState.FOREIGN if foreign else SchemaState.EMPTY)
    if revision not in known:
        return SchemaStatus(revision, known[-1], SchemaState.NEWER)
    return SchemaStatus(revision, known[-1], SchemaState.CURRENT if revision == known[-1] else SchemaState.BEHIND)


def _check(found: SchemaStatus, engines: Engines) -> None:
    if found.state is SchemaState.NEWER:
        raise _too_new(engines, found.current, found.head)
    if found.state is SchemaState.FOREIGN:
        raise StoreError(f"{engines.place.text} holds another program's tables: name a database of our own")


def _too_new(engines: Engines, revision: str | None, head: str) -> SchemaTooNewError:
    return SchemaTooNewError(
        f"{engines.place.text} is at revision {revision}, this release knows up to {head}: "
        "a newer release wrote it; install that release or name another database"
    )


def _run(connection: Connection, folder: Path, engines: Engines) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(f"{engines.place.text} cannot be upgraded: {error}") from error
    if engines.sqlite:
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise StoreError(f"{engines.place.text} cannot be upgraded: rows of {broken[0]} would refer to nothing")


def _copy(path: Path | None, found: SchemaStatus, clock: Clock) -> Path | None:
    """A copy of a SQLite file through SQLite itself, which sees the log beside it; called while writing is locked."""
    if path is None:
        return None
    stamp = datetime.fromtimestamp(clock.wall_s(), UTC).strftime("%Y%m%dT%H%M%SZ")
    copy = path.with_name(f"{path.name}.rev-{found.current}-{stamp}")
    part = path.with_name(f"{path.name}.copying")
    size = path.stat().st_size
    free = shutil.disk_usage(path.parent).free
    if free < 2 * size:
        raise StoreError(
            f"SQLite file {path} is copied before an upgrade: {2 * size // 10**6} MB must be free on its disk, "
            f"{free // 10**6} MB are"
        )
    part.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as target:
            source.backup(target)
        part.replace(copy)
    except (sqlite3.Error, OSError) as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"SQLite file {path} cannot be copied before the upgrade: {error}") from error
    return copy
