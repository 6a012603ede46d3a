"""A file that a command writes."""

from __future__ import annotations

from pathlib import Path

from collector.errors import BreakevenError


def write_file(file: Path, text: str) -> None:
    """Raises BreakevenError where it cannot be written."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BreakevenError(f"{file} cannot be written: {error.strerror}") from None
