"""The GPUs that this machine's driver showed, in a file: after a restart those that are gone are missed, no others.

The database does not tell whose a GPU is: another daemon's, and those of exporters' pages, are there as well.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from collector.jobs.kept_file import KeptFile

SUFFIX = ".gpus.json"
MISSED_S = 3600.0
"""What the driver has not shown for so long is no longer expected at a start."""
AGAIN_S = 600.0
"""So often the file says anew that they are there."""
_log = logging.getLogger("breakeven.gpu")


class OwnGpus:
    """The file beside a database or spool. No call raises: without it GPUs are only missed while the process lives."""

    def __init__(self, beside: Path | None) -> None:
        """None: nothing is kept."""
        self._file = KeptFile(beside, SUFFIX, _log)
        self._seen_s = self._file.read(_seen, "the GPUs of an earlier run are not known") or {}

    def expected(self, now_s: float) -> set[str]:
        """The UUIDs that were shown lately."""
        return {uuid for uuid, at_s in self._seen_s.items() if 0 <= now_s - at_s < MISSED_S}

    def due(self, shown: Iterable[str], now_s: float) -> bool:
        """Whether these GPUs, shown now, are to be written down."""
        return any(not 0 <= now_s - self._seen_s.get(uuid, -AGAIN_S) < AGAIN_S for uuid in shown)

    def write(self, shown: Iterable[str], now_s: float) -> None:
        """Keep that these were shown, and forget what is no longer missed."""
        kept = {uuid: self._seen_s[uuid] for uuid in self.expected(now_s)}
        self._seen_s = kept | dict.fromkeys(shown, now_s)
        self._file.write(self._seen_s, "which GPUs are here is not kept for a restart")


def _seen(found: Any) -> dict[str, float]:
    return {str(uuid): float(at_s) for uuid, at_s in found.items()}
