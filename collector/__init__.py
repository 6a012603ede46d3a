"""The daemon: polls, stores, runs the analysis, exports."""

from __future__ import annotations

import os

# Before numpy is imported: its threads would keep 17 MB for matrices that are never large.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def __getattr__(name: str) -> str:
    """`__version__`, read only when asked for: the GPU child must stay small."""
    if name == "__version__":
        from importlib.metadata import version

        return version("breakeven")
    raise AttributeError(name)
