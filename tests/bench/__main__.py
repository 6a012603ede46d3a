"""Measures what the daemon's parts cost and writes BENCHMARKS.md beside this file: `python -m tests.bench`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bench.table import Row

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
Sections = Mapping[str, "Sequence[Row]"]
READING, ANALYSING = "Reading a page", "Analysing an hour of 5 s samples, every model fitted anew"
ROLLING, ANSWERING, STORING = "Rolling up", "Answering", "A month of a thousand replicas"
BESIDE, SCRAPED, STARTING = "Beside what others scrape with, every 15 s", "Being scraped", "Starting"
LATER = "The same after 75 minutes, with a model and a capacity of every replica"
ORDER = (BESIDE, LATER, SCRAPED, STARTING, READING, ANALYSING, ROLLING, STORING, ANSWERING)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and writes. Numerical libraries must be told of the one core before they are imported."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--part", choices=[*PARTS], action="append", help="measure this alone; may be repeated; `later` takes two hours"
    )
    parser.add_argument("--replicas", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("BENCHMARKS.md"))
    asked = parser.parse_args(arguments)
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    from tests.bench.table import document

    sections: dict[str, Sequence[Row]] = {}
    for part in asked.part or (part for part in PARTS if part not in LONG):
        with tempfile.TemporaryDirectory() as folder:
            sections.update(PARTS[part](asked.replicas, asked.runs, Path(folder)))
    former = asked.out.read_text() if asked.out.exists() else ""
    text = document(sections, _machine(asked.runs), former, ORDER)
    asked.out.write_text(text)
    sys.stdout.write(text)


def _pages(_: int, runs: int, __: Path) -> Sections:
    from tests.bench import pages

    return {READING: pages.rows(runs)}


def _analysis(replicas: int, runs: int, folder: Path) -> Sections:
    from tests.bench import analysis, answering, fleet

    hour = fleet.watched_hour()
    analysed, report = analysis.rows(replicas, runs, hour)
    return {
        ANALYSING: analysed,
        ROLLING: analysis.roll_up_rows(replicas, runs, hour, folder),
        ANSWERING: [*answering.metrics_rows(report, runs), *answering.page_rows(report, runs)],
    }


def _store(replicas: int, runs: int, folder: Path) -> Sections:
    from tests.bench import store

    return {STORING: store.rows(replicas, runs, folder)}


def _peers(replicas: int, runs: int, folder: Path) -> Sections:
    from tests.bench import hot_path

    return {BESIDE: hot_path.rows(replicas, runs, folder)}


def _later(replicas: int, _: int, folder: Path) -> Sections:
    from tests.bench import hot_path

    return {LATER: hot_path.later_rows(replicas, folder)}


def _scraped(_: int, runs: int, __: Path) -> Sections:
    from tests.bench import hot_path

    return {SCRAPED: hot_path.scraped_rows(runs)}


def _start(_: int, runs: int, folder: Path) -> Sections:
    from tests.bench import hot_path

    return {STARTING: hot_path.start_rows(runs, folder)}


PARTS: Mapping[str, Callable[[int, int, Path], Sections]] = {
    "pages": _pages,
    "analysis": _analysis,
    "store": _store,
    "scraped": _scraped,
    "start": _start,
    "peers": _peers,
    "later": _later,
}
LONG = ("later",)
"""Measured only where they are asked for."""


def _machine(runs: int) -> str:
    told = Path("/proc/cpuinfo")
    names = [line for line in told.read_text().splitlines() if line.startswith("model name")] if told.exists() else []
    cpu = names[0].partition(":")[2].strip() if names else platform.machine()
    return f"{datetime.now(UTC):%Y-%m-%d}, {cpu}, Python {platform.python_version()}, {runs} runs."


if __name__ == "__main__":
    main()
