"""Measures what the daemon's parts cost and writes BENCHMARKS.md beside this file: `python -m tests.bench`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and writes. Numerical libraries must be told of the one core before they are imported."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--replicas", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("BENCHMARKS.md"))
    asked = parser.parse_args(arguments)
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    from tests.bench import analysis, answering, fleet, pages
    from tests.bench.table import markdown

    hour = fleet.watched_hour()
    sections = {"Reading a page": pages.rows(asked.runs)}
    analysed, report = analysis.rows(asked.replicas, asked.runs, hour)
    sections["Analysing an hour of 5 s samples, every model fitted anew"] = analysed
    with tempfile.TemporaryDirectory() as folder:
        sections["Rolling up"] = analysis.roll_up_rows(asked.replicas, asked.runs, hour, Path(folder))
    sections["Answering"] = [*answering.metrics_rows(report, asked.runs), *answering.page_rows(report, asked.runs)]
    text = markdown(sections, _machine(asked.runs))
    asked.out.write_text(text)
    sys.stdout.write(text)


def _machine(runs: int) -> str:
    told = Path("/proc/cpuinfo")
    names = [line for line in told.read_text().splitlines() if line.startswith("model name")] if told.exists() else []
    cpu = names[0].partition(":")[2].strip() if names else platform.machine()
    return f"{datetime.now(UTC):%Y-%m-%d}, {cpu}, Python {platform.python_version()}, {runs} runs."


if __name__ == "__main__":
    main()
