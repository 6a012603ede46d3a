"""The network between a daemon and Postgres is cut, as by a pulled cable: it polls on, and loses nothing."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from collector.store import Store
from tests.contract.postgres_cluster import running_cluster
from tests.fakes.daemon_files import write_files
from tests.fakes.daemon_process import helper, running
from tests.fakes.networks import apart
from tests.fakes.wire import wire

pytestmark = pytest.mark.soak


@pytest.mark.fault(
    "4",
    "the network to Postgres is cut",
    promise="packets vanish in a link that is down: polls go on, samples wait on the spool and follow, each once",
)
def test_a_cut_network_stops_no_poll_and_loses_no_sample(tmp_path: Path) -> None:
    """The database goes out of reach for long enough that the kernel gives the connection up, and comes back."""
    with running_cluster() as cluster, apart() as net, wire(cluster.socket(), net.cuttable[0]) as tcp:
        name = cluster.fresh()
        database = f"postgresql://postgres@{net.cuttable[0]}:{tcp.port}/{name}"
        simulator = helper("-m", "tests.fakes.simulated_vllm", "0", "1", under=net.under)
        with simulator as (_, url):
            target = url.removeprefix("http://")
            write_files(tmp_path, database, target, job="vllm", own=net.kept[1])
            with running(tmp_path, "run", "--config.file", "config.yaml", under=net.under) as daemon:

                def told() -> Any:
                    return daemon.json("/api/v1/health")

                daemon.until(lambda: told()["samples_written"] >= 5)
                net.cut()
                daemon.until(lambda: told()["store"]["up"] is False)
                daemon.until(lambda: told()["spool"]["waiting"] >= 25)
                health = told()
                assert health["targets"][0]["up"] is True
                assert health["store"]["reason"] in ("no_answer", "write_failed")
                edge_s = health["targets"][0]["last_success_s"]
                net.mend()
                daemon.until(lambda: told()["store"]["up"] is True and told()["spool"]["waiting"] == 0, limit_s=120.0)
                assert told()["samples_dropped"] == 0
                assert daemon.stop() == 0
        store = Store.open_to_read(cluster.url(name))
        try:
            times = [one.at_s for one in store.reader.samples(0, 4e9)]
        finally:
            store.close()

    assert times[-1] > edge_s
    assert max(after - before for before, after in pairwise(times)) <= 3
    assert len({int(at_s) for at_s in times}) == len(times), "a poll is stored twice"
