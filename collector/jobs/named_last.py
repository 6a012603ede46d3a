"""What sources of targets named last, in a file: a daemon that starts while one fails goes on with its targets."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from collector.jobs.kept_file import KeptFile
from collector.jobs.sources import Named

SUFFIX = ".targets.json"
_log = logging.getLogger("breakeven.discovery")


def source_key(job: str, config: BaseModel) -> str:
    """A source by its job and what is stated of it, secrets aside; no part of that can be read from it."""
    return sha256(f"{job}\0{config.model_dump_json()}".encode()).hexdigest()


def _labels(found: Mapping[str, Any]) -> Mapping[str, str]:
    return {str(name): str(value) for name, value in found.items()}


def _named(found: Any) -> Mapping[str, Sequence[Named]]:
    return {key: [(str(address), _labels(labels)) for address, labels in one] for key, one in found.items()}


class NamedLast:
    """The file beside a database or spool. Neither call raises: without it targets are only lost with the process."""

    def __init__(self, beside: Path | None) -> None:
        """None: nothing is kept."""
        self._file = KeptFile(beside, SUFFIX, _log)
        self._written: dict[str, Any] = {}

    def read(self) -> Mapping[str, Sequence[Named]]:
        """What each source named last, by its key."""
        return self._file.read(_named, "the targets of an earlier run are not known") or {}

    def write(self, named: Mapping[str, Sequence[Named]]) -> None:
        """Replace all that is kept, at once and only where it differs."""
        told = {key: [[address, dict(labels)] for address, labels in found] for key, found in named.items()}
        if told != self._written and self._file.write(told, "what discovery named is not kept for a restart"):
            self._written = told
