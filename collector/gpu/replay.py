"""A `GpuReader` that plays the readings it is given: recorded ones in tests, the simulator's in the demo."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from collector.errors import Kind, SourceError
from collector.gpu.readings import GpuPoll, GpuReading, GpuState, GpuStatus
from collector.gpu.roster import Roster


class ReplayReader:
    """Asks `source` for the readings of each poll and treats them as the driver's."""

    def __init__(self, source: Callable[[], Awaitable[Sequence[GpuReading]]], expected: Iterable[str] = ()) -> None:
        """`source` may raise SourceError, which makes a failed poll; `expected` are UUIDs seen by earlier runs."""
        self._source = source
        self._roster = Roster(expected)

    async def read(self) -> GpuPoll:
        """The source's readings now."""
        try:
            readings = await self._source()
        except SourceError as error:
            state = GpuState.TIMEOUT if error.kind is Kind.TIMEOUT else GpuState.UNKNOWN_ERROR
            return self._roster.down(GpuStatus(state, str(error)))
        return self._roster.poll(readings)

    def release(self, uuids: Iterable[str]) -> None:
        """These belong to another source."""
        self._roster.release(uuids)

    async def close(self) -> None:
        """Holds nothing: the source belongs to who made it."""
