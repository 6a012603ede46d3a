"""What sources of targets named last, in a file: a daemon that starts while one fails goes on with its targets."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from collector.jobs.sources import Named
from collector.logs import event

SUFFIX = ".targets.json"
_log = logging.getLogger("breakeven.discovery")


def source_key(job: str, config: BaseModel) -> str:
    """A source by its job and what is stated of it, secrets aside; no part of that can be read from it."""
    return sha256(f"{job}\0{config.model_dump_json()}".encode()).hexdigest()


def _labels(found: Mapping[str, Any]) -> Mapping[str, str]:
    return {str(name): str(value) for name, value in found.items()}


class NamedLast:
    """The file beside a database or spool. Neither call raises: without it targets are only lost with the process."""

    def __init__(self, beside: Path | None) -> None:
        """None: nothing is kept."""
        self._file = None if beside is None else beside.with_name(beside.name + SUFFIX)
        self._written: dict[str, Any] = {}

    def read(self) -> Mapping[str, Sequence[Named]]:
        """What each source named last, by its key."""
        if self._file is None or not self._file.exists():
            return {}
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            return {key: [(str(address), _labels(labels)) for address, labels in one] for key, one in found.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            event(_log, logging.WARNING, "the targets of an earlier run are not known", about=self._file, error=error)
            return {}

    def write(self, named: Mapping[str, Sequence[Named]]) -> None:
        """Replace all that is kept, at once and only where it differs."""
        told = {key: [[address, dict(labels)] for address, labels in found] for key, found in named.items()}
        if self._file is None or told == self._written:
            return
        new = self._file.with_name(self._file.name + ".new")
        try:
            new.write_text(json.dumps(told), encoding="utf-8")
            os.replace(new, self._file)
        except OSError as error:
            text = "what discovery named is not kept for a restart"
            event(_log, logging.WARNING, text, about=self._file, error=error.strerror)
        else:
            self._written = told
