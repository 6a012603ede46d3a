"""The GPUs as all sources show them together, keyed by UUID: the driver first, GPU pages for what it does not tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from analyzer.samples import GpuSample, gauge_names
from collector.export.snapshot import State
from collector.gpu.profiling import take_back_zeros
from collector.gpu.readings import GpuReading
from collector.health import Health
from collector.jobs.sink import Sink

DRIVER = ""
"""The driver's place among the sources, before every URL."""
MISSED_S = 86_400.0
"""A GPU that a page has not shown for so long was taken out, or cut anew."""
_GAUGES = gauge_names(GpuSample)


@dataclass(frozen=True, slots=True)
class _Shown:
    """One GPU as one source showed it last."""

    reading: GpuReading
    sample: GpuSample | None


class GpuBoard:
    """What each source showed last; what stands is in the state, what is new goes to the sink."""

    def __init__(self, sink: Sink, state: State) -> None:
        self._sink = sink
        self._state = state
        self._sources: dict[str, dict[str, _Shown]] = {}
        self._seen_s: dict[str, dict[str, float]] = {}
        """By page, when it last showed each GPU (unix time)."""

    def put(
        self, source: str, readings: Sequence[GpuReading], at_s: float, interval_s: float, duration_s: float
    ) -> None:
        """All GPUs of one source at unix time `at_s`. A GPU that two sources show is kept once, by the first of them.

        The others add the gauges that the first does not give; counters are never mixed. A GPU that a page no longer
        shows is missing; the driver tells of missing ones itself.
        """
        if source != DRIVER:
            readings = [*readings, *self._missing(source, {one.uuid for one in readings}, at_s)]
        self._sources[source] = {one.uuid: _Shown(one, one.sample(at_s, interval_s)) for one in readings}
        for reading in readings:
            owner = self._owner(reading.uuid)
            health = self._state.health.gpus.setdefault(reading.uuid, Health())
            if owner == source:
                health.succeeded(at_s, duration_s)
            elif owner is None:
                health.failed(at_s, str(reading.reason), f"GPU {reading.uuid} gave nothing: {reading.reason}")
        self._show()
        self._sink.put_gpus([self._state.gpus[one.uuid] for one in readings if self._owner(one.uuid) == source])

    def failed(self, source: str, reason: str, at_s: float) -> None:
        """A source gave nothing this time: the GPUs that only it showed are down, for its reason."""
        down = [GpuReading(uuid, reason=reason) for uuid in self._sources.get(source, {})]
        self.put(source, down, at_s, 1.0, 0.0)

    def forget(self, source: str) -> None:
        """A source is no longer asked: what only it showed is gone, and so is its health."""
        gone = self._sources.pop(source, {})
        self._seen_s.pop(source, None)
        left = {uuid for shown in self._sources.values() for uuid in shown}
        for uuid in gone.keys() - left:
            self._state.health.gpus.pop(uuid, None)
        self._show()

    def _missing(self, source: str, shown: Set[str], at_s: float) -> list[GpuReading]:
        """The GPUs that a page showed lately and shows no more; one for long is forgotten, with its health."""
        seen_s = self._seen_s.setdefault(source, {})
        seen_s.update(dict.fromkeys(shown, at_s))
        for uuid in [uuid for uuid, last_s in seen_s.items() if at_s - last_s > MISSED_S]:
            del seen_s[uuid]
            if all(uuid not in others for other, others in self._sources.items() if other != source):
                self._state.health.gpus.pop(uuid, None)
        return [GpuReading(uuid, reason="missing") for uuid in sorted(seen_s.keys() - shown)]

    def readings(self) -> tuple[GpuReading, ...]:
        """The last good reading of each GPU by its first source, with processes and owners from whichever tells."""
        return tuple(self._whole(uuid) for uuid in sorted(self._uuids()) if self._owner(uuid) is not None)

    def _uuids(self) -> set[str]:
        return {uuid for shown in self._sources.values() for uuid in shown}

    def _good(self, uuid: str) -> list[tuple[str, _Shown]]:
        """The sources that have the GPU's figures, the first to be believed first."""
        found = [(source, shown[uuid]) for source, shown in self._sources.items() if uuid in shown]
        return sorted((one for one in found if one[1].sample is not None), key=lambda one: one[0])

    def _owner(self, uuid: str) -> str | None:
        good = self._good(uuid)
        return good[0][0] if good else None

    def _whole(self, uuid: str) -> GpuReading:
        (_, first), *others = self._good(uuid)
        reading = first.reading
        for _, other in others:
            fields, absent = _filled(reading, other.reading)
            reading = replace(
                reading,
                fields=fields,
                absent=absent,
                host=reading.host or other.reading.host,
                owners=reading.owners or other.reading.owners,
            )
        return reading

    def _show(self) -> None:
        shown: dict[str, GpuSample] = {}
        absent: dict[str, Mapping[str, str]] = {}
        for reading in self.readings():
            own = self._good(reading.uuid)[0][1].sample
            whole = None if own is None else reading.sample(own.at_s, own.interval_s)
            assert whole is not None
            shown[reading.uuid] = whole
            absent[reading.uuid] = dict(reading.absent)
        self._state.gpus, self._state.gpu_absent = shown, absent


def _filled(one: GpuReading, other: GpuReading) -> tuple[dict[str, float | None], dict[str, str]]:
    """The first's fields and reasons, with gauges that only the other has."""
    more = {name: other.fields[name] for name in _missing(one) if other.fields.get(name) is not None}
    fields = {**one.fields, **more}
    reasons = {name: reason for name, reason in one.absent.items() if name not in more}
    take_back_zeros(fields, reasons, fields.get("utilization_ratio"))
    return fields, reasons


def _missing(one: GpuReading) -> Iterable[str]:
    return [name for name in _GAUGES if one.fields.get(name) is None]
