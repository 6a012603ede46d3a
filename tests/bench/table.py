"""The measured figures as a document in Markdown, of which any part can be measured anew."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.bench.measure import Timing

HEAD = """\
# Benchmarks

Written by `make bench`; `make bench PART=store` measures one part anew and leaves the others. Seconds of one core
unless a row says otherwise, median and range over the runs of one call; the machine may be shared, so read the ratios
before the seconds. A bound is what the figure is to stay within; a figure that does not is marked.
"""


@dataclass(frozen=True)
class Row:
    """One figure by run, with its unit; text says why it was not measured. `bound` is the most that it should be."""

    name: str
    figures: Timing | float | str
    unit: str
    bound: float | None = None


def document(sections: Mapping[str, Sequence[Row]], machine: str, former: str, order: Sequence[str]) -> str:
    """The whole document: these sections, and those of the `former` one that were not measured now."""
    told = dict(re.findall(r"(?ms)^## (.+?)\n\n(.+?)(?=^## |\Z)", former))
    for title, rows in sections.items():
        told[title] = "\n".join([machine, "", *_table(rows)]) + "\n\n"
    parts = [f"## {title}\n\n{told[title].strip()}\n" for title in order if title in told]
    return "\n".join([HEAD, *parts])


def _table(rows: Sequence[Row]) -> list[str]:
    bounds = any(row.bound is not None for row in rows)
    lines = [
        f"| what | median | least | most | unit |{' at most |' * bounds}",
        f"|---|---|---|---|---|{'---|' * bounds}",
    ]
    for row in rows:
        bound = "" if not bounds else f" {_bound(row)} |"
        lines.append(f"| {row.name} | {' | '.join(_cells(row.figures))} | {row.unit} |{bound}")
    return lines


def _cells(figures: Timing | float | str) -> tuple[str, str, str]:
    if isinstance(figures, str):
        return figures, "", ""
    if not isinstance(figures, Timing):
        return _figure(figures), "", ""
    return _figure(figures.middle_s), _figure(min(figures.runs_s)), _figure(max(figures.runs_s))


def _bound(row: Row) -> str:
    if row.bound is None or isinstance(row.figures, str):
        return ""
    value = row.figures.middle_s if isinstance(row.figures, Timing) else row.figures
    return f"{row.bound:g}" if value <= row.bound else f"**{row.bound:g}: missed**"


def _figure(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
