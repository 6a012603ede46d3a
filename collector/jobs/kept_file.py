"""A small JSON file beside a database or spool, for what a daemon knew before: of use, and never needed."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from collector.logs import event

T = TypeVar("T")


class KeptFile:
    """The file `<beside><suffix>`. Neither call raises: without it, what it holds is only lost with the process."""

    def __init__(self, beside: Path | None, suffix: str, log: logging.Logger) -> None:
        """`beside` None: nothing is kept."""
        self._file = None if beside is None else beside.with_name(beside.name + suffix)
        self._log = log

    def read(self, understood: Callable[[Any], T], lost: str) -> T | None:
        """What `understood` makes of the JSON; None where there is none, and `lost` is logged where it is broken."""
        if self._file is None or not self._file.exists():
            return None
        try:
            return understood(json.loads(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            event(self._log, logging.WARNING, lost, about=self._file, error=error)
            return None

    def write(self, told: Any, lost: str) -> bool:
        """Replace all that is kept, at once; whether that was done. `lost` is logged where it cannot be."""
        if self._file is None:
            return False
        new = self._file.with_name(self._file.name + ".new")
        try:
            new.write_text(json.dumps(told), encoding="utf-8")
            os.replace(new, self._file)
        except OSError as error:
            event(self._log, logging.WARNING, lost, about=self._file, error=error.strerror)
            return False
        return True
