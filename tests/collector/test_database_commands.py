"""`breakeven db export` and `import` as an operator types them: what they say, and one line for each mistake."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import update

from collector.cli import main
from collector.store import Store
from collector.store.schema import replica_blocks
from tests.contract.standing_clock import StandingClock
from tests.contract.store_samples import START_S, registered, sample, seal_all

DEFAULT = "var/breakeven.db"


@dataclass(frozen=True, slots=True)
class Told:
    """What a command said, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


Cli = Callable[..., Told]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs `breakeven` with arguments, in the test's folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Told:
        monkeypatch.setattr(sys, "argv", ["breakeven", *arguments])
        code = 0
        try:
            main()
        except SystemExit as ended:
            assert isinstance(ended.code, int)
            code = ended.code
        said = capsys.readouterr()
        return Told(code, said.out, said.err)

    return run


@pytest.fixture
def folder(tmp_path: Path, cli: Cli) -> Path:
    """A folder with the default database, three samples in it, and its export."""
    with closing(Store.open(str(tmp_path / DEFAULT), StandingClock())) as store:
        key, epoch = registered(store)
        store.writer.append([sample(key, epoch, START_S + 15 * n) for n in range(3)])
    told = cli("db", "export", "out")
    assert (told.returncode, "rows exported to out" in told.stdout) == (0, True), told.stderr
    assert "replica_samples: 3 rows" in told.stderr
    return tmp_path


def config(folder: Path, url: str) -> tuple[str, str]:
    (folder / "config.yaml").write_text(f"storage: {{url: {url!r}}}\n")
    return "--config.file", "config.yaml"


def one_line(text: str, *words: str) -> None:
    """The last line of what was said tells all; there is no traceback."""
    last = text.strip().splitlines()[-1]
    assert all(word in last for word in words), text
    assert "Traceback" not in text


def test_an_export_says_that_a_damaged_block_is_not_in_it(tmp_path: Path, cli: Cli) -> None:
    """Three sealed samples of one replica, and one of another five minutes later."""
    with closing(Store.open(str(tmp_path / DEFAULT), StandingClock())) as store:
        key, epoch = registered(store)
        store.writer.append([sample(key, epoch, START_S + after_s) for after_s in (0.0, 15.0, 30.0, 300.0)])
        seal_all(store)
        oldest = replica_blocks.c.bucket_ms == round(START_S * 1000)
        store._engines.write(lambda one: one.execute(update(replica_blocks).where(oldest).values(block=b"spoilt")))
    told = cli("db", "export", "out")
    assert told.returncode == 0
    assert "replica_samples: 1 rows" in told.stderr
    one_line(told.stderr, "not in it", "1 damaged blocks")


def test_what_was_exported_is_imported_where_the_configuration_says(folder: Path, cli: Cli) -> None:
    told = cli("db", "import", "out", *config(folder, "sqlite:///new/moved.db"))
    assert (told.returncode, "imported into SQLite file new/moved.db" in told.stdout) == (0, True), told.stderr
    with closing(Store.open_to_read(str(folder / "new/moved.db"))) as store:
        assert len(store.reader.samples(0, 4e9)) == 3

    again = cli("db", "import", "out", *config(folder, "sqlite:///new/moved.db"))
    assert again.returncode == 1
    one_line(again.stderr, "moved.db holds", "an import needs an empty database")


def test_mistakes_give_one_line_and_make_no_database(folder: Path, cli: Cli) -> None:
    where = config(folder, "sqlite:///new.db")
    nowhere = cli("db", "import", "nowhere", *where)
    one_line(nowhere.stderr, "nowhere is no folder", "`breakeven db export` makes one")
    full = cli("db", "export", "out")
    one_line(full.stderr, "out is not empty", "name a new folder")
    lacking = cli("db", "export", "other", *where)
    one_line(lacking.stderr, "new.db does not exist")
    (folder / "out" / "manifest.json").write_text("{")
    broken = cli("db", "import", "out", *where)
    one_line(broken.stderr, "manifest.json cannot be read")
    assert [one.returncode for one in (nowhere, full, lacking, broken)] == [1, 1, 1, 1]
    assert not (folder / "new.db").exists()


def test_a_file_that_a_daemon_writes_to_is_exported_and_not_imported_into(folder: Path, cli: Cli) -> None:
    with closing(Store.open(str(folder / DEFAULT), StandingClock())):
        assert cli("db", "export", "beside").returncode == 0
        refused = cli("db", "import", "beside")
    one_line(refused.stderr, f"in use by process {os.getpid()}")
