"""A real Postgres whose disk is full: samples go to the spool, and from there to Postgres once it has room again."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest

from tests.contract.postgres_cluster import running_cluster
from tests.contract.test_spool_postgres import REPLICAS, fleet, kept
from tests.fakes.small_disk import fill, small_disk


@pytest.mark.fault(
    "4", "Postgres' disk is full", promise="samples go to the spool, and to Postgres, each once, when it has room again"
)
def test_a_postgres_without_room_is_as_one_that_is_away(tmp_path: Path) -> None:
    """The last bytes of its disk are taken; its server may even end over that. Then they are given back."""
    with (
        tempfile.TemporaryDirectory(prefix="d", ignore_cleanup_errors=True) as short,
        small_disk(Path(short), 160) as disk,
        running_cluster(disk) as cluster,
    ):
        url = cluster.url(cluster.fresh())
        with fleet(url, tmp_path) as one:
            asyncio.run(one.poll(0, 3))
            ballast = fill(disk, 0)
            rounds = 3
            while one.spool.empty:
                assert rounds < 400, "its disk is full, and it goes on writing"
                asyncio.run(one.poll(rounds, 5))
                rounds += 5
            said = str(one.health.store.message)
            ballast.unlink()
            cluster.start()
            asyncio.run(one.poll(rounds, 1))
            assert one.spool.empty
        whole = kept(url)

    assert "No space left on device" in said or "terminat" in said
    assert whole == dict.fromkeys(range(rounds + 1), REPLICAS)
