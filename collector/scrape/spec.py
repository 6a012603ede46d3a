"""What an engine's metrics page and identity endpoints hold, as data: `EngineSpec`, checked when it is made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from analyzer.samples import Identity, ReplicaSample, counter_names, gauge_names, histogram_names
from collector.scrape.buckets import HistogramReading
from collector.scrape.facts import FACTS
from collector.scrape.steps import READABLE, STEP_INPUTS, Step

COUNTERS = frozenset(counter_names(ReplicaSample))
GAUGES = frozenset(gauge_names(ReplicaSample))
HISTOGRAMS = frozenset(histogram_names(ReplicaSample))
IDENTITY_FIELDS = frozenset(f.name for f in fields(Identity)) - {"engine"}
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


@dataclass(frozen=True, slots=True)
class Reading:
    """Where one figure stands on the page.

    `names` are sample names, newest first: the first that a replica has is read, older ones are not added to it.
    `labels` selects series whose labels have these values. Series of one replica that differ in other labels are
    added up (`sum`), or refused when there is more than one (`single`: for ratios).
    `whole_server`: the server counts it once for all its replicas, so it is given only where the page has one.
    The value is multiplied by `scale`. A declared type other than `kind` fails the page, unless it is in
    `accept_types`; the count and sum of a histogram or summary are counters.
    """

    names: tuple[str, ...]
    kind: Literal["counter", "gauge"]
    labels: Mapping[str, str] = field(default_factory=dict)
    scale: float = 1.0
    aggregate: Literal["sum", "single"] = "sum"
    accept_types: tuple[str, ...] = ()
    whole_server: bool = False

    def __post_init__(self) -> None:
        if not self.names or not all(map(_METRIC_NAME.fullmatch, self.names)):
            raise ValueError(f"a reading needs valid metric names, not {self.names}")
        if self.kind not in {"counter", "gauge"} or self.aggregate not in {"sum", "single"}:
            raise ValueError(f"{self.names[0]}: unknown kind {self.kind!r} or aggregate {self.aggregate!r}")
        if not self.scale > 0:
            raise ValueError(f"{self.names[0]}: the scale must be positive, not {self.scale}")


@dataclass(frozen=True, slots=True)
class InfoSeries:
    """A series whose labels tell the identity; `read` takes them to fields of `analyzer.samples.Identity`."""

    name: str
    read: Callable[[Mapping[str, str]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class IdentityProbe:
    """A JSON endpoint beside the metrics page; `read` takes the parsed JSON to fields of `Identity`."""

    path: str
    read: Callable[[Any], Mapping[str, Any]]

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ValueError(f"the path of an identity endpoint begins with a slash, not {self.path!r}")


@dataclass(frozen=True, slots=True)
class Extra:
    """A JSON endpoint asked after every page, within the same deadline; one that fails leaves its inputs absent.

    `read` takes the parsed JSON to each rank's values of `inputs`, which `derive` gets. Raises nothing for any JSON.
    The page is asked first: what moves from here to the page between the two is missed once and never counted twice.
    `destructive`: an answer takes its records away from every other reader. Such an endpoint is asked only where the
    operator says that we are the only one; `read` then gives what the records add, and the sums are the inputs.
    """

    path: str
    inputs: tuple[str, ...]
    read: Callable[[Any], Mapping[str, Mapping[str, float | None]]]
    destructive: bool = False

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or not self.inputs:
            raise ValueError(f"an extra endpoint has a path with a slash and inputs, not {self.path!r}, {self.inputs}")


@dataclass(frozen=True, slots=True)
class Context:
    """What `derive` may know besides a replica's values.

    `names` are all sample names of the page; `identity` is what the endpoints told, empty before they were asked.
    """

    names: frozenset[str]
    openmetrics: bool
    identity: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Derived:
    """What arithmetic adds: `fields` replace what was read (None takes it back), `notes` say why one is absent.

    `live` are fields that this time do not wait for a request's end although `at_request_end` says so.
    """

    fields: Mapping[str, float | None]
    notes: Mapping[str, str] = field(default_factory=dict)
    live: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """One engine, as data. Raises ValueError for a specification that cannot be right.

    `name` equals the file's name. `signatures` are sample names of which an engine's page has at least one and no
    other engine's page has any. `model_label` and `rank_label` tell the replicas of one page apart; without them
    the model is "" and the rank "0". `worker_labels` tell the workers of one replica apart, which do the same steps:
    of each series, the worker with the lowest values is read. `page_path` is where the page is by default.
    `readings` and `derive` give fields of `ReplicaSample`, `inputs` are values that only `derive` needs; `derives` are
    the fields it may set. `monotone` are derived counters that may dip for a moment because their inputs do not move
    together: they are held at their highest value. `histograms` are read only when somebody asks.
    `extras` are JSON endpoints whose values are inputs too.
    `read_step` takes a line of the engine's log to the step it tells (None for other lines, ValueError for a spoilt
    one): where the operator names the log, the sums of its steps are inputs too, by `STEP_INPUTS`.
    `process_start_series` or `process_start_header` change when the engine is restarted.
    `mixed_steps`: whether one step may carry both prompt and decode tokens (an identity endpoint may know better).
    `at_request_end` are counters that move only when a request ends.
    `name_filter`: the server may honour `name[]=` (on the path with a trailing slash).
    `explicit_only`: its signatures are names that anything may have, so the operator has to state this engine.
    `hosts` are engines whose series its page may carry beside its own: such a page is this engine's.
    `not_told` are those of `collector.scrape.facts.FACTS` that nothing of it ever tells: the operator has to.
    `notes` say, per field, why it may be missing and what to switch on. `evidence` is what the engine offers towards
    the phase mix, best first. `tested_with` are the versions of its pages under tests/pages.
    """

    name: str
    title: str
    tested_with: tuple[str, ...]
    signatures: tuple[str, ...]
    readings: Mapping[str, Reading]
    evidence: tuple[str, ...]
    model_label: str | None = None
    rank_label: str | None = None
    worker_labels: tuple[str, ...] = ()
    page_path: str = "/metrics"
    inputs: Mapping[str, Reading] = field(default_factory=dict)
    derives: tuple[str, ...] = ()
    derive: Callable[[Mapping[str, float | None], Context], Derived] | None = None
    monotone: frozenset[str] = frozenset()
    histograms: Mapping[str, HistogramReading] = field(default_factory=dict)
    extras: tuple[Extra, ...] = ()
    read_step: Callable[[bytes], Step | None] | None = None
    info: tuple[InfoSeries, ...] = ()
    identity: tuple[IdentityProbe, ...] = ()
    process_start_series: str | None = None
    process_start_header: str | None = None
    name_filter: bool = False
    explicit_only: bool = False
    hosts: frozenset[str] = frozenset()
    mixed_steps: bool | None = None
    at_request_end: frozenset[str] = frozenset()
    usual_ports: tuple[int, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    not_told: frozenset[str] = frozenset()
    wanted: frozenset[str] = field(init=False)
    """Every sample name that is read from the page."""
    provides: tuple[str, ...] = field(init=False)
    """Every field of `ReplicaSample` that this engine can give, in the sample's order."""
    asked: frozenset[str] = field(init=False)
    """Every input that does not come from the page: from JSON endpoints, and from steps."""
    derived_from: tuple[str, ...] = field(init=False)
    """Every value that `derive` gets."""

    def __post_init__(self) -> None:
        self._check()
        names = {name for reading in (*self.readings.values(), *self.inputs.values()) for name in reading.names}
        names.update(self.signatures, (info.name for info in self.info))
        names.update(name for histogram in self.histograms.values() for name in histogram.series)
        if self.process_start_series is not None:
            names.add(self.process_start_series)
        object.__setattr__(self, "wanted", frozenset(names))
        given = {*self.readings, *self.derives}
        object.__setattr__(self, "provides", tuple(f.name for f in fields(ReplicaSample) if f.name in given))
        asked = [name for extra in self.extras for name in extra.inputs]
        if self.read_step is not None:
            asked += (*STEP_INPUTS, READABLE)
        object.__setattr__(self, "asked", frozenset(asked))
        object.__setattr__(self, "derived_from", (*self.provides, *self.inputs, *asked))

    def _check(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]*", self.name):
            raise ValueError(f"an engine's name is one lower-case word, not {self.name!r}")
        if not self.signatures or not self.tested_with or not self.evidence:
            raise ValueError(f"{self.name}: signatures, tested_with and evidence must be stated")
        known = COUNTERS | GAUGES
        self._refuse("reading", set(self.readings) - known)
        self._refuse("derived field", set(self.derives) - known)
        self._refuse("histogram", set(self.histograms) - HISTOGRAMS)
        self._refuse(
            "count of a histogram", {one.counted_by for one in self.histograms.values() if one.counted_by} - COUNTERS
        )
        self._refuse("monotone field", set(self.monotone) - (COUNTERS & set(self.derives)))
        self._refuse("note", set(self.notes) - known)
        self._refuse("fact that is not told", self.not_told - FACTS)
        self._refuse("counter that moves at a request's end", set(self.at_request_end) - COUNTERS)
        extra_inputs = [name for extra in self.extras for name in extra.inputs]
        if self.read_step is not None:
            extra_inputs += (*STEP_INPUTS, READABLE)
        self._refuse("input named like a field", {*self.inputs, *extra_inputs} & known)
        self._refuse(
            "input of more than one source",
            {name for name in extra_inputs if name in self.inputs or extra_inputs.count(name) > 1},
        )
        self._refuse(
            "reading of the wrong kind",
            [name for name, reading in self.readings.items() if (reading.kind == "counter") != (name in COUNTERS)],
        )
        if bool(self.derives) != (self.derive is not None):
            raise ValueError(f"{self.name}: derive and derives belong together")
        if extra_inputs and self.derive is None:
            raise ValueError(f"{self.name}: nothing derives from its extra endpoints")

    def _refuse(self, what: str, found: Iterable[str]) -> None:
        names = ", ".join(sorted(found))
        if names:
            raise ValueError(f"{self.name}: {what}: {names}")
