"""Ten minutes without Postgres, by the clock and under load: all that a real daemon polled meanwhile is there after."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from pathlib import Path

import pytest

from collector.store import Store
from tests.contract.postgres_cluster import running_cluster
from tests.fakes.daemon_files import write_files
from tests.fakes.daemon_process import running
from tests.fakes.played_server import played

pytestmark = pytest.mark.soak
SERVERS = 20
AWAY_S = 600.0
IN_ORDER = """
SELECT min(tick_ms), max(tick_ms) FROM replica_samples GROUP BY xmin::text::bigint ORDER BY xmin::text::bigint
"""


@pytest.mark.fault(
    "4", "the database is away", promise="ten real minutes at twenty polls a second: each sample once, in order"
)
def test_ten_minutes_by_the_clock_lose_no_poll(tmp_path: Path) -> None:
    """A batch that is lost would leave a hole of five seconds; a skipped turn of a busy machine leaves less."""
    with running_cluster() as cluster, played(SERVERS) as servers:
        name = cluster.fresh()
        url = cluster.url(name)
        write_files(tmp_path, url, *(server.address for server in servers), evaluation_s=15)
        with running(tmp_path, "run", "--config.file", "config.yaml") as daemon:
            daemon.until(lambda: daemon.json("/api/v1/health")["samples_written"] >= 10 * SERVERS)
            cluster.stop()
            time.sleep(AWAY_S)
            spool = daemon.json("/api/v1/health")["spool"]
            cluster.start()
            daemon.until(lambda: daemon.json("/api/v1/health")["spool"]["waiting"] == 0)
            told = daemon.json("/api/v1/health")
            assert daemon.stop() == 0
            (written,) = re.findall(r"samples_written=(\d+)", daemon.log.read_text())
        store = Store.open_to_read(url)
        try:
            samples = store.reader.samples(0, 4e9)
        finally:
            store.close()
        spans = cluster.run(IN_ORDER, name)

    assert spool["waiting"] >= 0.9 * AWAY_S * SERVERS
    assert told["samples_dropped"] == 0
    assert told["spool"]["replayed"] == told["spool"]["spooled"] > spool["waiting"]
    # A batch that Postgres took in the moment of its end was not acknowledged, and is there all the same.
    assert int(written) <= len(samples) <= int(written) + told["samples_duplicate"]
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    for server in servers:
        times = [one.at_s for one in samples if one.replica.target == server.url]
        assert max(after - before for before, after in pairwise(times)) <= 3
