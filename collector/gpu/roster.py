"""Which GPUs belong to the machine: the ones seen before that a poll does not show are reported missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from collector.gpu import remedies
from collector.gpu.readings import GpuPoll, GpuReading, GpuState, GpuStatus


class Roster:
    """Remembers every UUID it has seen."""

    def __init__(self, expected: Iterable[str] = ()) -> None:
        """`expected` are the UUIDs that earlier runs saw."""
        self._uuids = set(expected)
        self._unseen = set(self._uuids)

    def release(self, uuids: Iterable[str]) -> None:
        """Forget GPUs of earlier runs that another source shows and this one never did: they are not its own."""
        self._uuids -= self._unseen.intersection(uuids)

    def down(self, status: GpuStatus) -> GpuPoll:
        """A poll without data: each known GPU is down for the reason that the source has."""
        return GpuPoll(tuple(GpuReading(uuid, reason=str(status.state)) for uuid in sorted(self._uuids)), status)

    def poll(
        self, readings: Sequence[GpuReading], nameless: Sequence[str] = (), status: GpuStatus | None = None
    ) -> GpuPoll:
        """What a poll showed, completed by the GPUs it should have shown, in the order of UUIDs.

        `nameless` are the reasons of GPUs that were lost before they told their UUID. The status is `status` (state
        `ok`) unless no GPU gave anything, which is a failed collection.
        """
        shown = {reading.uuid for reading in readings}
        missing_for = nameless[0] if len(set(nameless)) == 1 else "missing"
        missing = tuple(GpuReading(uuid, reason=missing_for) for uuid in self._uuids - shown)
        gpus = tuple(sorted((*readings, *missing), key=lambda reading: reading.uuid))
        seen_before = len(self._uuids)
        self._uuids |= shown
        self._unseen -= shown
        result = GpuStatus(GpuState.OK) if status is None else status
        reasons = [*nameless, *(reading.reason for reading in readings if reading.reason is not None)]
        if not readings and not nameless:
            failure = remedies.no_gpus(seen_before)
        elif all(reading.reason is not None for reading in readings):
            failure = remedies.none_answers(reasons)
        else:
            unknown = len(nameless) - len(missing)
            if unknown > 0:
                result = replace(
                    result, message=f"{unknown} GPU(s) never told a UUID: {', '.join(sorted(set(nameless)))}"
                )
            return GpuPoll(gpus, result)
        return GpuPoll(gpus, replace(result, state=failure.state, message=failure.message, remedy=failure.remedy))
