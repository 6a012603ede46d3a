"""The closed loop, live: a llama.cpp in F16 is polled, its Q8_0 and Q4_0 are predicted, then measured.

It is compiled here, as the captures' was, for AVX2: the wheel that the other tests run was compiled by GCC 10.2, which
keeps the sums of F16's product in memory. F16 alone then takes twice as long, and any other type gains by that much.
A run in which others took the server's processor is no measurement and is made again; of the rest the quickest counts,
since what is left of others, in caches and memory, only slows a server too.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import gguf
import pytest

from analyzer.facts.cpu_kernels import AVX2, cpu_kernels
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.target import TargetScraper
from collector.servers import detect
from tests.e2e.test_llama_server import free_port
from tests.fakes.closed_loop import BYTES_RATIO, Told, predicted, right_direction
from tests.fakes.nano_model import Shape, write_nano_model
from tests.soak import compiled_llama
from tests.soak.compared_load import LOADS, Got, ask, change, processor, quickest, run, shown

pytestmark = pytest.mark.soak
SHAPE = Shape(embedding=768, layers=16, heads=12, feed_forward=3072)
"""Of 151 million parameters, 302 MB in F16: far more than processors keep in their caches."""
SLOTS, THREADS, RUNS, TRIES = 8, 1, 3, 9
"""One thread: of two that wait for each other at every product, a neighbour that takes one stops both."""
BASE = "F16"

Runs = dict[str, dict[str, list[Got]]]


@dataclass(frozen=True)
class Row:
    """A load under a scheme: output rates in tokens per second, and F16's as its page told it."""

    scheme: str
    load: str
    base_per_s: float
    speedup: float
    change: float

    @property
    def error(self) -> float:
        return self.speedup / self.change - 1

    def __str__(self) -> str:
        return (
            f"{self.load:10} {self.scheme}: F16 {self.base_per_s:6.2f} tokens/s; predicted x{self.speedup:.2f}, "
            f"measured x{self.change:.2f}, error {self.error:+.1%} (bits alone x{BYTES_RATIO[self.scheme]:.2f})"
        )


@dataclass(frozen=True)
class Server:
    port: int
    pid: int


async def interleaved(servers: dict[str, Server]) -> tuple[Runs, float]:
    """Each load on each server in turn, all of it several times; and the parameters that F16 says it has."""
    runs: Runs = {scheme: {name: [] for name in LOADS} for scheme in servers}
    for server in servers.values():  # the first step of a process is like no other
        await asyncio.to_thread(ask, server.port, 32, 16, random.Random(99))
    async with client_session() as session:
        url = f"http://127.0.0.1:{servers[BASE].port}/metrics"
        scraper = TargetScraper(url, Fetcher(session), detect)
        await scraper.scrape()
        identity = (await scraper.identify()).fields
        for _ in range(TRIES):
            for name, load in LOADS.items():
                for scheme, server in servers.items():
                    made, polled = runs[scheme][name], scraper if scheme == BASE else None
                    if sum(one.undisturbed for one in made) < RUNS:
                        made.append(await run(load, server.port, server.pid, polled))
    return runs, float(identity["parameters"])


def served(folder: Path) -> tuple[Runs, float]:
    """One random model, in each scheme on a server of its own."""
    compiled_llama.main(compiled_llama.FOLDER)
    servers = {}
    with ExitStack() as stack:
        for scheme in (BASE, *BYTES_RATIO):
            model, port = folder / f"{scheme}.gguf", free_port()
            write_nano_model(model, shape=SHAPE, scheme=gguf.GGMLQuantizationType[scheme])
            log = folder / f"{scheme}.log"
            process = stack.enter_context(compiled_llama.serving(model, port, SLOTS, THREADS, log))
            servers[scheme] = Server(port, process.pid)
        return asyncio.run(interleaved(servers))


def undisturbed(runs: Runs) -> Runs:
    """Without the runs that others disturbed; of every load some must be left."""
    kept = {
        scheme: {name: [one for one in made if one.undisturbed] for name, made in loads.items()}
        for scheme, loads in runs.items()
    }
    lacking = [f"{scheme} {name}" for scheme, loads in kept.items() for name, made in loads.items() if not made]
    assert not lacking, f"others took the server's processor in all {TRIES} runs of {', '.join(lacking)}"
    return kept


def compared(runs: Runs, parameters: float) -> list[Row]:
    cpu = cpu_kernels(processor(), AVX2)
    told: dict[str, Told] = {}
    for name, repeats in runs[BASE].items():
        told[name] = quickest([one.told for one in repeats if one.told is not None])
    return [
        Row(
            scheme,
            name,
            told[name].output_per_s,
            predicted(scheme, name, told, parameters, cpu).speedup.value,
            change(runs[scheme][name], runs[BASE][name]),
        )
        for scheme in BYTES_RATIO
        for name in LOADS
    ]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> list[Row]:
    runs, parameters = served(tmp_path_factory.mktemp("closed"))
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        print("", shown(runs), sep="\n")
        found = compared(undisturbed(runs), parameters)
        ours = median(abs(row.error) for row in found)
        rule = median(abs(BYTES_RATIO[row.scheme] / row.change - 1) for row in found)
        print(*found, f"median error {ours:.1%}, of bits alone {rule:.1%}", sep="\n")
    return found


def test_the_median_error_of_the_predicted_output_rates_is_at_most_20_per_cent(rows: list[Row]) -> None:
    """Each from the page of the server in F16 alone; against what the clients of the others then received."""
    assert median(abs(row.error) for row in rows) <= 0.20


def test_where_the_output_rate_changed_by_more_than_10_per_cent_the_direction_was_right(rows: list[Row]) -> None:
    assert [str(row) for row in rows if not right_direction(row.speedup, row.change)] == []
