"""Series -> the text that Prometheus reads, family by family, in both of its formats.

prometheus_client writes the same bytes from families of its own; a test compares them. A thousand replicas have some
hundred thousand series, and building an object for each takes longer than a scrape may.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.utils import floatToGoString

from collector.export.catalogue import Metric, by_name
from collector.export.health_series import Series

Blocks = Mapping[str, bytes]
"""The text of each family, by the metric's name."""
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
            lines.setdefault(name, []).append(family.line % (*values, number))
        return {name: (self._families[name].head + "".join(found)).encode() for name, found in lines.items()}


def joined(*parts: Blocks) -> bytes:
    """A page of families in the catalogue's order; each family comes whole from one part."""
    whole = {name: block for part in parts for name, block in part.items()}
    return b"".join(whole[name] for name in by_name() if name in whole)


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
