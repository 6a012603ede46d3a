"""Where each figure of each replica stands on pages of one shape: found once, then a poll only picks values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isnan
from typing import Any

from analyzer.samples import ReplicaSample, bounds_of
from collector.errors import Kind, SourceError
from collector.scrape.buckets import BucketPlaces, ReplicaId, bucket_places
from collector.scrape.layout import Series
from collector.scrape.page import Page
from collector.scrape.spec import EngineSpec, Reading

_PARTS = {"_count": {"histogram", "summary"}, "_sum": {"histogram", "summary"}, "_bucket": {"histogram"}}
"""Suffixes of a sample name that its declared family does not have, and the families they belong to."""
_UNDECLARED = {"untyped", "unknown"}
_TYPE_CHARS = 20
"""So much of a type that is none goes into an error: a page may have a word of any length there."""

Figure = tuple[str, tuple[int, ...], float]
"""A figure's name, the places of the values that are added up to it, and what each is multiplied by."""


@dataclass(frozen=True, slots=True)
class Places:
    """What is the same on all pages of one shape. Places count within `Page.values`.

    `figures` are of fields and inputs, by replica; `starts` are of the series that changes with a restart; `identity`
    is what info series tell of each replica. `buckets` are of histograms by name, filled in when they are asked for.
    """

    spec: EngineSpec
    figures: tuple[tuple[ReplicaId, tuple[Figure, ...]], ...]
    starts: tuple[int, ...]
    identity: Mapping[ReplicaId, Mapping[str, Any]]
    buckets: dict[str, Mapping[ReplicaId, BucketPlaces | None]] = field(default_factory=dict)


def places(spec: EngineSpec, page: Page) -> Places:
    """The places of an engine's figures on this page.

    Raises SourceError BAD_PAGE for a series of another type than the specification says, and for more than one series
    where one was expected.
    """
    if not page.whole:  # a series without a value is as good as none, and an older name may stand for it
        return _found(spec, page)
    kept = page.layout.places.get(spec.name)
    if kept is None or kept.spec is not spec:
        kept = page.layout.places[spec.name] = _found(spec, page)
    assert isinstance(kept, Places)
    return kept


def buckets_at(spec: EngineSpec, page: Page) -> Mapping[str, Mapping[ReplicaId, BucketPlaces | None]]:
    """The places of the buckets of every histogram. Raises SourceError as `places` does."""
    known = places(spec, page)
    if not known.buckets:
        present = _present(page)
        for name, reading in spec.histograms.items():
            bounds = bounds_of(ReplicaSample, name)
            of = partial(replica_of, spec), partial(worker_of, spec)
            known.buckets[name] = bucket_places(reading, bounds, present, *of)
    return known.buckets


def replica_of(spec: EngineSpec, labels: Mapping[str, str]) -> ReplicaId:
    """The replica that a series with these labels belongs to."""
    model = "" if spec.model_label is None else labels.get(spec.model_label, "")
    rank = "0" if spec.rank_label is None else labels.get(spec.rank_label, "0")
    return model, rank


def worker_of(spec: EngineSpec, labels: Mapping[str, str]) -> tuple[tuple[int, str], ...]:
    """The worker of a replica that a series belongs to, as something to sort by: 2 before 10, nothing before all."""
    return tuple((len(value), value) for value in (labels.get(label, "") for label in spec.worker_labels))


def declared_type(types: Mapping[str, str], name: str) -> str | None:
    """The type a sample was declared with; the parts of histograms and summaries count as counters.

    OpenMetrics declares a counter without the `_total` that its sample has.
    """
    if name in types:
        return types[name]
    if name.endswith("_total"):
        return types.get(name.removesuffix("_total"))
    for suffix, families in _PARTS.items():
        family = types.get(name.removesuffix(suffix)) if name.endswith(suffix) else None
        if family in families:
            return "counter"
    return None


_Present = Mapping[str, Sequence[tuple[int, Series]]]


def _found(spec: EngineSpec, page: Page) -> Places:
    present = _present(page)
    _check_types(spec, page, present)
    figures: dict[ReplicaId, list[Figure]] = {}
    for name, reading in (*spec.readings.items(), *spec.inputs.items()):
        for replica, at in _read_one(spec, reading, present).items():
            figures.setdefault(replica, []).append((name, tuple(at), reading.scale))
    return Places(
        spec=spec,
        figures=tuple((replica, tuple(found)) for replica, found in sorted(figures.items())),
        starts=tuple(place for place, _ in present.get(spec.process_start_series or "", ())),
        identity={replica: _page_identity(spec, replica[1], present) for replica in figures},
    )


def _present(page: Page) -> _Present:
    """The series that have a value, by name."""
    present: dict[str, list[tuple[int, Series]]] = {}
    for place, (series, value) in enumerate(zip(page.layout.series, page.values, strict=True)):
        if not isnan(value):
            present.setdefault(series.name, []).append((place, series))
    return present


def _read_one(spec: EngineSpec, reading: Reading, present: _Present) -> dict[ReplicaId, list[int]]:
    """The places of one figure of every replica that has it."""
    result: dict[ReplicaId, list[int]] = {}
    for name in reading.names:
        found: dict[ReplicaId, list[int]] = {}
        workers: dict[ReplicaId, tuple[tuple[int, str], ...]] = {}
        for place, series in present.get(name, ()):
            labels = series.labels
            if any(labels.get(label) != value for label, value in reading.labels.items()):
                continue
            replica, worker = replica_of(spec, labels), worker_of(spec, labels)
            lowest = workers.setdefault(replica, worker)
            if worker > lowest:
                continue
            if replica not in found or worker < lowest:
                workers[replica] = worker
                found[replica] = [place]
            elif reading.aggregate == "sum":
                found[replica].append(place)
            else:
                raise SourceError(Kind.BAD_PAGE, f"more than one series {name} for a replica, where one was expected")
        for replica, at in found.items():
            result.setdefault(replica, at)
    return result


def _page_identity(spec: EngineSpec, rank: str, present: _Present) -> dict[str, Any]:
    """What info series with this rank, or with none, tell."""
    result: dict[str, Any] = {}
    for info in spec.info:
        for _, series in present.get(info.name, ()):
            if replica_of(spec, series.labels)[1] == rank:
                result.update(info.read(series.labels))
    return result


def _check_types(spec: EngineSpec, page: Page, present: Iterable[str]) -> None:
    """A gauge read as a counter would give nonsense rates: the page is refused."""
    names = frozenset(present)
    for reading in (*spec.readings.values(), *spec.inputs.values()):
        for name in reading.names:
            if name in names:
                declared = declared_type(page.types, name)
                if (
                    declared is not None
                    and declared not in _UNDECLARED
                    and declared != reading.kind
                    and declared not in reading.accept_types
                ):
                    text = f"{name} is declared a {declared[:_TYPE_CHARS]} where {spec.title} has a {reading.kind}"
                    raise SourceError(Kind.BAD_PAGE, text)
    for histogram in spec.histograms.values():
        for name in names.intersection(histogram.series):
            declared = page.types.get(name, page.types.get(name.removesuffix("_bucket")))
            if declared is not None and declared not in _UNDECLARED and declared != "histogram":
                text = f"{name} is declared a {declared[:_TYPE_CHARS]} where {spec.title} has a histogram"
                raise SourceError(Kind.BAD_PAGE, text)
