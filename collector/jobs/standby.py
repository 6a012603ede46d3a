"""What a daemon shows while another one analyses: the report that is stored."""

from __future__ import annotations

from analyzer.report import Report
from analyzer.restored import restored
from collector.errors import StoreError
from collector.jobs.polled import Roster
from collector.store import Store

LEFT_OUT = "another daemon analyses, and does not store this: ask that one"
APART_S = 900.0
"""No two daemons' clocks are further apart."""
PATIENCE = 3
"""New replicas are in the other daemon's reports a little later than here."""


class Standby:
    """Reads the stored report, and notices replicas that are polled here and not in it."""

    def __init__(self, store: Store, roster: Roster) -> None:
        self._store = store
        self._roster = roster
        self._lacking = 0

    def report(self, shown: Report | None, now_s: float) -> Report | None:
        """The newest stored report: the very one that is shown where none is newer, None where there is none.

        What a clock made in the future is none. Raises StoreError, also for a report that another release made and this
        one cannot read.
        """
        until_s = now_s + APART_S
        newest_s = self._store.reader.latest_report_s(until_s)
        if newest_s is None or (shown is not None and newest_s == shown.made_at_s):
            return shown
        stored = self._store.reader.latest_report(until_s)
        if stored is None:
            return None
        try:
            return restored(stored.body, LEFT_OUT)
        except ValueError as error:
            raise StoreError(f"the stored report cannot be shown: {error}; run the same release on both") from error

    def lacking(self, report: Report) -> int:
        """How many replicas that are polled here have been lacking in the reports for some time."""
        known = {one.replica for one in report.replicas}
        lacking = len(self._roster.polled.keys() - known)
        self._lacking = self._lacking + 1 if lacking else 0
        return lacking if self._lacking >= PATIENCE else 0
