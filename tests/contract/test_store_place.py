"""What the operator writes as the database's place, and that no message shows its password."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import pytest

from collector.errors import StoreError
from collector.store import Store
from collector.store.engine import open_engines
from collector.store.place import place
from tests.contract.standing_clock import StandingClock

SECRET = "hunter2secret"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///var/x.db", "var/x.db"),
        ("sqlite:////var/lib/x.db", "/var/lib/x.db"),
        ("/var/lib/x.db", "/var/lib/x.db"),
        ("x.db", "x.db"),
        ("sqlite:////var/100%@x y.db", "/var/100%@x y.db"),
        ("/var/what?#.db", "/var/what?#.db"),
    ],
)
def test_a_file_is_named_by_a_path_or_a_url(url: str, path: str) -> None:
    found = place(url)
    assert (Path(path), f"SQLite file {path}", path) == (found.path, found.text, found.url.database)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_server_is_reached_by_psycopg_and_named_without_its_password(scheme: str) -> None:
    found = place(f"{scheme}://me:{SECRET}%40%2F%25@db.example:5433/fleet?sslmode=require")
    assert ("postgresql+psycopg", f"{SECRET}@/%") == (found.url.drivername, found.url.password)
    assert found.text == "PostgreSQL database fleet at me@db.example:5433"
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://me:hunter2secret@db/x", "begins with mysql:// is not supported"),
        ("postgresql+asyncpg://me:hunter2secret@db/x", "is not supported"),
        ("postgresql://me:hunter2@secret@db/x", "write %40"),
        ("postgresql://me:x:hunter2secret@db:port/x", "cannot be read"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        (":memory:", "needs a file"),
        ("", "needs a file"),
        ("sqlite:///x.db?timeout=5", "no options"),
    ],
)
def test_what_cannot_be_a_database_is_refused_without_quoting_it(url: str, said: str) -> None:
    with pytest.raises(StoreError, match=said) as refused:
        place(url)
    for piece in ("hunter2", "secret"):
        assert piece not in str(refused.value)
    assert refused.value.__cause__ is None
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid", "/no/such/socket"])
def test_a_server_that_is_not_there_is_one_line_without_the_password(host: str) -> None:
    pytest.importorskip("psycopg")
    url = f"postgresql://me:{SECRET}@{host}/x" if host[0] != "/" else f"postgresql://me:{SECRET}@/x?host={host}"
    with pytest.raises(StoreError, match="PostgreSQL database x at me@") as refused:
        Store.open(url, StandingClock())
    assert "\n" not in str(refused.value)
    assert SECRET not in str(refused.value) + repr(refused.value.__cause__)


def test_a_password_among_the_options_is_not_shown_either() -> None:
    with closing(open_engines(f"postgresql://me@127.0.0.1:1/x?password={SECRET}")) as engines:
        assert SECRET not in engines.place.text + repr(engines)
        assert engines.place.hide(f"no {SECRET}") == "no ***"


def test_without_the_driver_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"pip install 'breakeven\[postgres\]'"):
        open_engines("postgresql://me@127.0.0.1/x")
