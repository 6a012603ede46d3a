"""The daemon: polls, stores, runs the analysis, exports."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    """`__version__`, read only when asked for: the GPU child must stay small."""
    if name == "__version__":
        from importlib.metadata import version

        return version("breakeven")
    raise AttributeError(name)
