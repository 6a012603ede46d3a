"""The page of /metrics: what the report says is compressed once per report, what changes with every poll each time."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import partial

from prometheus_client.exposition import choose_encoder

from analyzer.report import Report
from collector.clock import Clock
from collector.export.exposition import END, Exposition, PressedBlocks, joined
from collector.export.once import OncePerReport
from collector.export.pressed import Part
from collector.export.render import is_stale, live_series, report_series
from collector.export.snapshot import State


class MetricsPage:
    """The exposition of one state, in both formats."""

    def __init__(self, state: State, clock: Clock, evaluation_interval_s: float, executor: Executor) -> None:
        self._state = state
        self._clock = clock
        self._evaluation_interval_s = evaluation_interval_s
        self._expositions = {openmetrics: Exposition(openmetrics=openmetrics) for openmetrics in (False, True)}
        self._reported = {
            openmetrics: OncePerReport(partial(_reported, exposition), executor)
            for openmetrics, exposition in self._expositions.items()
        }

    async def parts(self, accept: str) -> tuple[list[Part], str]:
        """The page in the format that the Accept header asks for, and its content type."""
        _, content_type = choose_encoder(accept)
        openmetrics = content_type.startswith("application/openmetrics-text")
        report = self._state.report
        reported: PressedBlocks = {}
        if report is not None and not is_stale(report, self._clock, self._evaluation_interval_s):
            reported = await self._reported[openmetrics].of(report)
        # Health changes on this loop alone, so it is read here and not in the thread.
        live = self._expositions[openmetrics].blocks(live_series(self._state))
        return [*joined(live, reported), END if openmetrics else b""], content_type


def _reported(how: Exposition, report: Report) -> PressedBlocks:
    return how.pressed(report_series(report))
