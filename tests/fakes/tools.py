"""System tools that tests need: found, or a loud skip that CI turns into a failure."""

from __future__ import annotations

import os
import shutil

import pytest


def require(tool: str, package: str) -> str:
    """The tool's path. Without it the test is skipped; with BREAKEVEN_REQUIRE_TOOLS=1 it fails."""
    path = shutil.which(tool)
    if path is not None:
        return path
    text = f"NOT CHECKED: {tool} is missing (Debian package: {package})"
    if os.environ.get("BREAKEVEN_REQUIRE_TOOLS") == "1":
        pytest.fail(text)
    pytest.skip(text)
