"""The GPUs that this machine's driver showed, in a file: after a restart those that are gone are missed, no others.

The database does not tell whose a GPU is: another daemon's, and those of exporters' pages, are there as well.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from collector.logs import event

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
        self._file = None if beside is None else beside.with_name(beside.name + SUFFIX)
        self._seen_s: dict[str, float] = self._read()

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
        if self._file is None:
            return
        new = self._file.with_name(self._file.name + ".new")
        try:
            new.write_text(json.dumps(self._seen_s), encoding="utf-8")
            os.replace(new, self._file)
        except OSError as error:
            text = "which GPUs are here is not kept for a restart"
            event(_log, logging.WARNING, text, about=self._file, error=error.strerror)

    def _read(self) -> dict[str, float]:
        if self._file is None or not self._file.exists():
            return {}
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            return {str(uuid): float(at_s) for uuid, at_s in found.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            event(_log, logging.WARNING, "the GPUs of an earlier run are not known", about=self._file, error=error)
            return {}
