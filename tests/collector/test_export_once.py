"""What is made of a report is made once, and keeps no report alive that a newer one has replaced."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from weakref import ref

from analyzer.report import Report
from collector.export.once import OncePerReport


def test_it_is_made_once_for_each_report_and_keeps_none_alive() -> None:
    async def ask() -> None:
        made: list[float] = []

        def note(report: Report) -> float:
            made.append(report.made_at_s)
            return report.made_at_s

        with ThreadPoolExecutor(1) as executor:
            once = OncePerReport(note, executor)
            report = Report(1.0, 60.0, 60.0, False, (), ())
            assert [await once.of(report), await once.of(report), made] == [1.0, 1.0, [1.0]]
            # The executor's thread lets go of its last call when it takes the next.
            executor.submit(int).result()
            former, report = ref(report), Report(2.0, 60.0, 60.0, False, (), ())
            assert former() is None
            assert [await once.of(report), made] == [2.0, [1.0, 2.0]]

    asyncio.run(ask())
