"""Two hundred SIGKILLs at random moments on each database lose no acknowledged sample and double none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.postgres_cluster import running_cluster
from tests.contract.test_store_kill import kill_again_and_again

pytestmark = pytest.mark.soak
KILLS = 200


def test_two_hundred_kills_on_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "breakeven.db"
    kill_again_and_again(f"sqlite:///{path}", path, KILLS)


def test_two_hundred_kills_on_postgres(tmp_path: Path) -> None:
    with running_cluster() as cluster:
        kill_again_and_again(cluster.url(cluster.fresh()), tmp_path / "unused", KILLS)
