"""A page and an engine's specification -> what the page says about each replica."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from analyzer.samples import ReplicaSample, bounds_of
from collector.errors import Kind, SourceError
from collector.scrape.buckets import Counts, ReplicaId, read_buckets
from collector.scrape.page import Page, Sample
from collector.scrape.spec import COUNTERS, Context, EngineSpec, Reading
from collector.scrape.steps import ANY_RANK, READABLE, STEP_INPUTS

_PARTS = {"_count": {"histogram", "summary"}, "_sum": {"histogram", "summary"}, "_bucket": {"histogram"}}
"""Suffixes of a sample name that its declared family does not have, and the families they belong to."""
BEYOND_BOUNDS = 1e18
"""No counter or gauge of a server reaches this: such a value, infinity or NaN is not reported."""
_UNDECLARED = {"untyped", "unknown"}
_TYPE_CHARS = 20
"""So much of a type that is none goes into an error: a page may have a word of any length there."""

Histograms = Mapping[str, Counts | None]
"""Counts by bucket of each histogram that the engine can give, None where the page had no whole one."""
ExtraValues = Mapping[str, Mapping[str, float | None]]
"""Values of inputs from JSON endpoints and from the step log, by rank."""


@dataclass(frozen=True, slots=True)
class ReplicaReading:
    """One replica on the page: each field that the engine can give, None where the page had no series for it.

    `identity` holds the fields of `Identity` that the page itself tells. `live` are those of the engine's
    `at_request_end` that did not wait for a request's end this time.
    """

    model: str
    rank: str
    fields: Mapping[str, float | None]
    identity: Mapping[str, Any]
    live: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PageReading:
    """One page, read.

    `missing` are the fields that the engine can give but this page did not, for any replica; `notes` says why and
    what to do, where that is known. `process_start` changes when the engine was restarted; None: cannot be told.
    `histograms` reads those of every replica when it is called: they are many series, and wanted only now and then.
    """

    replicas: tuple[ReplicaReading, ...]
    process_start: str | None
    missing: tuple[str, ...]
    notes: Mapping[str, str]
    histograms: Callable[[], Mapping[ReplicaId, Histograms]] = field(default=dict, compare=False)


def process_start(spec: EngineSpec, page: Page, headers: Mapping[str, str]) -> str | None:
    """The token that changes with every start of the engine; `headers` have lower-case names."""
    if spec.process_start_header is not None:
        return headers.get(spec.process_start_header.lower())
    values = sorted({sample.value for sample in page.samples if sample.name == spec.process_start_series})
    return ",".join(map(repr, values)) or None


def read(
    spec: EngineSpec,
    page: Page,
    headers: Mapping[str, str],
    identity: Mapping[str, Any] | None = None,
    extras: ExtraValues | None = None,
) -> PageReading:
    """What the page says about each replica; `identity` is what the identity endpoints told, if they were asked.

    `extras` is what the JSON endpoints of `spec.extras` and the source of steps said beside this page. A rank that
    only they know is no replica. Models and ranks on one page are kept apart.
    Raises SourceError BAD_PAGE for a series of another type than the specification says.
    """
    by_name: dict[str, list[Sample]] = {}
    for sample in page.samples:
        by_name.setdefault(sample.name, []).append(sample)
    _check_types(spec, page, by_name)
    values: dict[ReplicaId, dict[str, float | None]] = {}
    for name, reading in (*spec.readings.items(), *spec.inputs.items()):
        for replica, value in _read_one(spec, reading, by_name).items():
            if abs(value) < BEYOND_BOUNDS:
                values.setdefault(replica, {})[name] = value
    if len(values) > 1:
        _drop_whole_server(spec, values)
    asked = [name for extra in spec.extras for name in extra.inputs]
    if spec.read_step is not None:
        asked += (*STEP_INPUTS, READABLE)
    context = Context(page.names, page.openmetrics, identity or {})
    told: dict[str, str] = {}
    replicas = []
    for (model, rank), found in sorted(values.items()):
        given = {name: found.get(name) for name in spec.provides}
        live = frozenset[str]()
        if spec.derive is not None:
            beside = {**(extras or {}).get(ANY_RANK, {}), **(extras or {}).get(rank, {})}
            inputs = {name: found.get(name) for name in (*spec.provides, *spec.inputs)}
            derived = spec.derive({**inputs, **{name: beside.get(name) for name in asked}}, context)
            given.update(derived.fields)
            told.update(derived.notes)
            live = derived.live
        replicas.append(ReplicaReading(model, rank, given, _page_identity(spec, rank, by_name), live))
    missing = tuple(name for name in spec.provides if all(replica.fields[name] is None for replica in replicas))
    notes = {name: told.get(name) or spec.notes[name] for name in missing if name in told or name in spec.notes}
    histograms = partial(_histograms, spec, by_name, tuple(replicas))
    return PageReading(tuple(replicas), process_start(spec, page, headers), missing, notes, histograms)


def _histograms(
    spec: EngineSpec, by_name: Mapping[str, list[Sample]], replicas: Iterable[ReplicaReading]
) -> dict[ReplicaId, Histograms]:
    """Each replica's histograms; one that counts what nobody can say the number of is not reported."""
    found = {
        name: read_buckets(
            reading, bounds_of(ReplicaSample, name), by_name, partial(_replica, spec), partial(_worker, spec)
        )
        for name, reading in spec.histograms.items()
    }
    fields_of = {(one.model, one.rank): one.fields for one in replicas}
    return {
        replica: {
            name: found[name].get(replica)
            if (len(fields_of) == 1 or not reading.whole_server)
            and (reading.counted_by is None or fields.get(reading.counted_by) is not None)
            else None
            for name, reading in spec.histograms.items()
        }
        for replica, fields in fields_of.items()
    }


def _read_one(spec: EngineSpec, reading: Reading, by_name: Mapping[str, list[Sample]]) -> dict[ReplicaId, float]:
    """One figure of every replica that has it."""
    result: dict[ReplicaId, float] = {}
    for name in reading.names:
        found: dict[ReplicaId, float] = {}
        workers: dict[ReplicaId, tuple[tuple[int, str], ...]] = {}
        for sample in by_name.get(name, ()):
            labels = sample.labels
            if any(labels.get(label) != value for label, value in reading.labels.items()):
                continue
            replica = _replica(spec, labels)
            worker = _worker(spec, labels)
            lowest = workers.setdefault(replica, worker)
            if worker > lowest:
                continue
            if replica not in found or worker < lowest:
                workers[replica] = worker
                found[replica] = sample.value * reading.scale
            elif reading.aggregate == "sum":
                found[replica] += sample.value * reading.scale
            else:
                raise SourceError(Kind.BAD_PAGE, f"more than one series {name} for a replica, where one was expected")
        for replica, value in found.items():
            result.setdefault(replica, value)
    return result


def _worker(spec: EngineSpec, labels: Mapping[str, str]) -> tuple[tuple[int, str], ...]:
    return tuple(_numerically(labels.get(label, "")) for label in spec.worker_labels)


def _numerically(value: str) -> tuple[int, str]:
    """Sorts 2 before 10, and nothing before everything."""
    return len(value), value


def _drop_whole_server(spec: EngineSpec, values: Mapping[ReplicaId, dict[str, float | None]]) -> None:
    """Nobody knows which replica's share of it is how large."""
    for name, reading in (*spec.readings.items(), *spec.inputs.items()):
        if reading.whole_server:
            for found in values.values():
                found.pop(name, None)


def _replica(spec: EngineSpec, labels: Mapping[str, str]) -> ReplicaId:
    model = "" if spec.model_label is None else labels.get(spec.model_label, "")
    rank = "0" if spec.rank_label is None else labels.get(spec.rank_label, "0")
    return model, rank


def _page_identity(spec: EngineSpec, rank: str, by_name: Mapping[str, list[Sample]]) -> dict[str, Any]:
    """What info series with this rank, or with none, tell."""
    result: dict[str, Any] = {}
    for info in spec.info:
        for sample in by_name.get(info.name, ()):
            if _replica(spec, sample.labels)[1] == rank:
                result.update(info.read(sample.labels))
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


def fell(before: Mapping[str, float | None], after: Mapping[str, float | None], ignored: Iterable[str] = ()) -> bool:
    """Whether any counter of a replica fell between two readings: it was restarted, or it misbehaves."""
    for name in COUNTERS.difference(ignored):
        old, new = before.get(name), after.get(name)
        if old is not None and new is not None and new < old:
            return True
    return False
