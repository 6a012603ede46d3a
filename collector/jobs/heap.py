"""Keeps a process that runs for months small: what the C library holds back, for its threads and after a peak."""

from __future__ import annotations

import ctypes
import gc

_M_ARENA_MAX = -8
"""Of glibc's malloc.h."""


def one_arena() -> None:
    """Have all threads share one heap: each would keep the peak of its own. Does nothing where it is not glibc's."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


_NEW_OBJECTS, _YOUNG_ROUNDS = 10_000, 20
"""Python's own 700 and 10 have the collector look a hundred times a report at what stays anyhow."""


def rare_collections() -> None:
    """Have the garbage collector look less often for cycles, of which there are few, and not at what is there now."""
    gc.set_threshold(_NEW_OBJECTS, _YOUNG_ROUNDS)
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Return to the system what lies free in the heap; takes milliseconds. Does nothing where it is not glibc's."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
