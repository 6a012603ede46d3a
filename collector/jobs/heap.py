"""Keeps a process that runs for months small: what the C library holds back, for its threads and after a peak."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8
"""Of glibc's malloc.h."""


def one_arena() -> None:
    """Have all threads share one heap: each would keep the peak of its own. Does nothing where it is not glibc's."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Return to the system what lies free in the heap; takes milliseconds. Does nothing where it is not glibc's."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
