"""What `doctor` says of one thing that it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found, and what to do about it."""

    level: Literal["ok", "note", "fail"]
    about: str
    text: str
    remedy: str = ""
