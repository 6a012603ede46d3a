"""The measured figures as a table in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.bench.measure import Timing


@dataclass(frozen=True)
class Row:
    """One figure by run; its unit is seconds of one core, or a ratio."""

    name: str
    timing: Timing
    unit: str


def markdown(sections: Mapping[str, Sequence[Row]], machine: str) -> str:
    """The whole document."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`. Seconds of one core, median and range over the runs of one call; the machine may be",
        "shared, so read the ratios before the seconds.",
        "",
        machine,
    ]
    for title, rows in sections.items():
        lines += ["", f"## {title}", "", "| what | median | least | most | unit |", "|---|---|---|---|---|"]
        for row in rows:
            runs = row.timing.runs_s
            cells = (_figure(row.timing.middle_s), _figure(min(runs)), _figure(max(runs)))
            lines.append(f"| {row.name} | {' | '.join(cells)} | {row.unit} |")
    return "\n".join(lines) + "\n"


def _figure(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
