"""A distribution that brings a package named as one of ours is refused at the start: files of both would be mixed."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.cli.configured import refuse_shared_names
from collector.errors import ConfigError


@pytest.mark.parametrize(
    ("file", "text"), [("RECORD", "collector/__init__.py,,\nother.py,,\n"), ("top_level.txt", "other\ncollector\n")]
)
def test_another_owner_of_our_import_name_is_named(
    file: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "logs_collector-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: logs-collector\nVersion: 1.0\n")
    (folder / file).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ConfigError) as refused:
        refuse_shared_names()

    (problem,) = refused.value.problems
    assert str(problem) == (
        "import name 'collector': is shared with logs-collector; install breakeven in an environment of its own"
    )


def test_without_another_owner_nothing_is_refused() -> None:
    refuse_shared_names()
