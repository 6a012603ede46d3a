"""What holds for all long tests."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Who is told to end takes along what it has started, as at Ctrl-C, which processes in the background ignore."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
