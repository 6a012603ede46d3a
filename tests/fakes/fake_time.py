"""A wall clock that a test sets: libfaketime under one process, told by a file; the monotonic clock goes on."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.tools import require_library


class FakeTime:
    """The offset of one process's wall clock. Without the library the test is skipped, or fails where tools must be."""

    def __init__(self, folder: Path) -> None:
        self._offset = folder / "offset"
        self.environment = {
            "LD_PRELOAD": str(require_library("*/faketime/libfaketimeMT.so.1", "libfaketime")),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Its way around a fault of old C libraries makes every thread that waits for Python's lock spin.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }
        self.step("+0")

    def step(self, offset: str) -> None:
        """Set the clock so far from the true time, as `-1h` or `+10y`, in one step."""
        fresh = self._offset.with_suffix(".new")
        fresh.write_text(f"{offset}\n")
        fresh.replace(self._offset)
