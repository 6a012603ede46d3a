"""The process's file descriptors, shared out so that no part takes those of another."""

from __future__ import annotations

import resource
from dataclasses import dataclass

_RESERVE = 32
"""For the database, the GPU process, the log, files that are read: always left."""
_MOST_POLLS = 1000
_ENOUGH = 8192


@dataclass(frozen=True, slots=True)
class Budget:
    """How many connections each side may hold at once."""

    clients: int
    """Those that ask us."""
    polls: int
    """Those we ask."""


def budget_of(limit: int) -> Budget:
    """A quarter of what is left to clients, the rest to polls; at least four each, however little there is."""
    left = max(0, limit - _RESERVE)
    clients = max(4, left // 4)
    return Budget(clients, min(_MOST_POLLS, max(4, left - clients)))


def raised_limit() -> int:
    """The process's limit, raised as far as it may be: its soft limit is a relic of select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return soft
    return wanted
