"""Successive pages of one vLLM server: between two captured pages every counter moved, and goes on moving so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from collector.servers import engine_specs

PAGES = Path(__file__).parents[1] / "pages"
EARLIER, LATER = "vllm__0.32.0__busy.prom", "vllm__0.32.0__saturated.prom"
SNAPSHOTS = 128
STEP = 0.25
"""Of what the server did between the two captures, so much between two snapshots."""
_CUMULATIVE = ("_total", "_bucket", "_count", "_sum")
_GAUGES = {"vllm:num_requests_running": 13, "vllm:num_requests_waiting": 3}
"""Gauges that swing, with the length of their swing."""


def snapshots(count: int = SNAPSHOTS) -> Iterator[str]:
    """So many whole pages, each later than the one before; buckets stay cumulative, gauges swing."""
    lines = [_split(line) for line in (PAGES / LATER).read_text().splitlines()]
    before = dict(filter(None, (_split(line)[1] for line in (PAGES / EARLIER).read_text().splitlines())))
    for number in range(count):
        yield "".join(
            f"{text}\n" if sample is None else f"{sample[0]} {_value(*sample, before[sample[0]], number)}\n"
            for text, sample in lines
        )


def named(page: str) -> str:
    """What is left of a vLLM page when only the series that we read are asked for by `name[]`."""
    wanted = engine_specs()["vllm"].wanted
    kept, head = [], []
    for line in page.splitlines():
        if line.startswith("# HELP "):
            head = [line]
        elif line.startswith("#"):
            head.append(line)
        elif line.partition("{")[0].partition(" ")[0] in wanted:
            kept += [*head, line]
            head = []
    return "\n".join(kept) + "\n"


def write(folder: Path, count: int = SNAPSHOTS) -> None:
    """Writes the pages as `pageserver.c` takes them."""
    for number, page in enumerate(snapshots(count)):
        (folder / f"full-{number}").write_text(page)
        (folder / f"named-{number}").write_text(named(page))


def _split(line: str) -> tuple[str, tuple[str, str] | None]:
    series, _, value = line.rpartition(" ")
    return line, None if line.startswith("#") or not series else (series, value)


def _value(series: str, later: str, earlier: str, number: int) -> str:
    name = series.partition("{")[0]
    if name in _GAUGES:
        return f"{float(1 + number * 5 % _GAUGES[name])}"
    if not name.endswith(_CUMULATIVE):
        return later
    moved = (float(later) - float(earlier)) * STEP * number
    whole = float(later).is_integer() and float(earlier).is_integer()
    return repr(float(later) + (float(int(moved)) if whole else moved))
