"""Series -> the text that Prometheus reads, family by family, in both of its formats.

prometheus_client writes the same bytes from families of its own; a test compares them. A thousand replicas have some
hundred thousand series, and building an object for each takes longer than a scrape may.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.utils import floatToGoString

from collector.export.catalogue import Metric, by_name
from collector.export.health_series import Series
from collector.export.pressed import Part, Pressed, pressed, pressed_whole

Blocks = Mapping[str, bytes]
"""The text of each family, by the metric's name."""
PressedBlocks = Mapping[str, Pressed]
"""The same, compressed."""
_LINES = 400
"""So many lines of a family are gathered before they are compressed."""
END = b"# EOF\n"
"""What an OpenMetrics page ends with."""


@dataclass(frozen=True, slots=True)
class _Family:
    """How a metric is written: its head, its labels in the order of the text, and a line with a place for each."""

    head: str
    labels: tuple[str, ...]
    known: frozenset[str]
    line: str


class Exposition:
    """Writes series of the catalogue in one format."""

    def __init__(self, *, openmetrics: bool) -> None:
        self._families = {name: _family(metric, openmetrics) for name, metric in by_name().items()}

    def blocks(self, series: Iterable[Series]) -> Blocks:
        """The families that have a series now. Raises KeyError for a series that the catalogue has not so."""
        lines: dict[str, list[str]] = {}
        for name, line in self._lines(series):
            lines.setdefault(name, []).append(line)
        return {name: (self._families[name].head + "".join(found)).encode() for name, found in lines.items()}

    def pressed(self, series: Iterable[Series]) -> PressedBlocks:
        """The same compressed, of so many series that their text is not to be in memory at once."""
        held: dict[str, list[str]] = {}
        pieces: dict[str, list[Pressed]] = {}
        for name, line in self._lines(series):
            lines = held.get(name)
            if lines is None:
                lines, pieces[name] = [self._families[name].head], []
                held[name] = lines
            lines.append(line)
            if len(lines) >= _LINES:
                pieces[name].append(pressed("".join(lines).encode()))
                lines.clear()
        return {name: pressed_whole([*pieces[name], pressed("".join(lines).encode())]) for name, lines in held.items()}

    def _lines(self, series: Iterable[Series]) -> Iterator[tuple[str, str]]:
        written: dict[str, str] = {}
        for name, labels, value in series:
            if name not in self._families:
                raise KeyError(f"not in the catalogue: {name}")
            family = self._families[name]
            if labels.keys() != family.known:
                raise KeyError(f"{name} has labels {sorted(labels)}, the catalogue {sorted(family.known)}")
            values = []
            for label in family.labels:
                text = labels[label]
                shown = written.get(text)
                if shown is None:
                    shown = written[text] = _escaped(text)
                values.append(shown)
            number = floatToGoString(value)  # type: ignore[no-untyped-call]
            yield name, family.line % (*values, number)


def joined(live: Blocks, reported: PressedBlocks) -> list[Part]:
    """A page of families in the catalogue's order; each family comes whole from one of both."""
    parts: list[Part] = []
    held: list[bytes] = []
    for name in by_name():
        if name in live:
            held.append(live[name])
        elif name in reported:
            parts += [b"".join(held), reported[name]]
            held = []
    return [*parts, b"".join(held)]


def _family(metric: Metric, openmetrics: bool) -> _Family:
    name = metric.name.removesuffix("_total") if openmetrics else metric.name
    told = metric.help.replace("\\", "\\\\").replace("\n", "\\n")
    if openmetrics:
        told = told.replace('"', '\\"')
    kind = "counter" if metric.kind == "counter" else "gauge"
    labels = tuple(sorted(metric.labels))
    inner = ",".join(f'{label}="%s"' for label in labels)
    line = f"{metric.name}{{{inner}}} %s\n" if labels else f"{metric.name} %s\n"
    return _Family(f"# HELP {name} {told}\n# TYPE {name} {kind}\n", labels, frozenset(metric.labels), line)


def _escaped(text: str) -> str:
    """A label value that every reader accepts: one lone surrogate would otherwise break the whole page."""
    clean = text.encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return clean.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
