"""A page and an engine's specification -> what the page says about each replica."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from analyzer.histograms import BUCKETS
from collector.scrape.buckets import Counts, ReplicaId
from collector.scrape.page import Page
from collector.scrape.places import Figure, buckets_at, places
from collector.scrape.spec import COUNTERS, Context, EngineSpec
from collector.scrape.steps import ANY_RANK

BEYOND_BOUNDS = 1e18
"""No counter or gauge of a server reaches this: such a value, infinity or NaN is not reported."""

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
    starts = places(spec, page).starts
    if len(starts) == 1:
        return repr(page.values[starts[0]])
    return ",".join(map(repr, sorted({page.values[at] for at in starts}))) or None


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
    found_at = places(spec, page)
    values: dict[ReplicaId, dict[str, float | None]] = {}
    for replica, figures in found_at.figures:
        found = _values(figures, page.values)
        if found:
            values[replica] = found
    if len(values) > 1:
        _drop_whole_server(spec, values)
    context = Context(page.names, page.openmetrics, identity or {})
    told: dict[str, str] = {}
    replicas = []
    for replica, found in values.items():
        given = {name: found.get(name) for name in spec.provides}
        live = frozenset[str]()
        if spec.derive is not None:
            inputs: dict[str, float | None] = dict.fromkeys(spec.derived_from)
            inputs.update(found)
            if extras:
                for rank in (ANY_RANK, replica[1]):
                    beside = extras.get(rank, {})
                    inputs.update((name, value) for name, value in beside.items() if name in spec.asked)
            derived = spec.derive(inputs, context)
            given.update(derived.fields)
            told.update(derived.notes)
            live = derived.live
        replicas.append(ReplicaReading(*replica, given, found_at.identity[replica], live))
    missing = _missing(spec, replicas)
    notes = {name: told.get(name) or spec.notes[name] for name in missing if name in told or name in spec.notes}
    histograms = partial(_histograms, spec, page, tuple(replicas))
    return PageReading(tuple(replicas), process_start(spec, page, headers), missing, notes, histograms)


def _values(figures: Iterable[Figure], values: Sequence[float]) -> dict[str, float | None]:
    """The figures that can be measurements."""
    found: dict[str, float | None] = {}
    for name, at, scale in figures:
        value = values[at[0]] * scale
        for more in at[1:]:
            value += values[more] * scale
        if -BEYOND_BOUNDS < value < BEYOND_BOUNDS:
            found[name] = value
    return found


def _missing(spec: EngineSpec, replicas: Sequence[ReplicaReading]) -> tuple[str, ...]:
    """The fields that no replica has."""
    if len(replicas) == 1:
        return tuple([name for name, value in replicas[0].fields.items() if value is None])
    return tuple(name for name in spec.provides if all(replica.fields[name] is None for replica in replicas))


def _histograms(spec: EngineSpec, page: Page, replicas: Sequence[ReplicaReading]) -> dict[ReplicaId, Histograms]:
    """Each replica's histograms; one that counts what nobody can say the number of is not reported."""
    at = buckets_at(spec, page)
    alone = len(replicas) == 1
    found: dict[ReplicaId, Histograms] = {}
    for one in replicas:
        replica = (one.model, one.rank)
        own: dict[str, Counts | None] = {}
        for name, reading in spec.histograms.items():
            stand = at[name].get(replica)
            counted = reading.counted_by is None or one.fields.get(reading.counted_by) is not None
            known = counted and (alone or not reading.whole_server)
            own[name] = stand.counts(page.values, BUCKETS[name]) if known and stand is not None else None
        found[replica] = own
    return found


def _drop_whole_server(spec: EngineSpec, values: Mapping[ReplicaId, dict[str, float | None]]) -> None:
    """Nobody knows which replica's share of it is how large."""
    for name, reading in (*spec.readings.items(), *spec.inputs.items()):
        if reading.whole_server:
            for found in values.values():
                found.pop(name, None)


def fell(before: Mapping[str, float | None], after: Mapping[str, float | None], ignored: Container[str] = ()) -> bool:
    """Whether any counter of a replica fell between two readings: it was restarted, or it misbehaves."""
    for name, new in after.items():
        old = before.get(name)
        # What is a counter is asked last: hardly anything falls.
        if old is not None and new is not None and new < old and name in COUNTERS and name not in ignored:
            return True
    return False
