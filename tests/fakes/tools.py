"""System tools that tests need: found, or a loud skip that CI turns into a failure."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

TOOLS = Path(__file__).parents[2] / ".cache" / "tools"


def require(tool: str, package: str) -> str:
    """The tool's path. Without it the test is skipped; with BREAKEVEN_REQUIRE_TOOLS=1 it fails."""
    path = shutil.which(tool)
    if path is not None:
        return path
    return _missing(tool, package)


def require_library(pattern: str, package: str) -> Path:
    """As `require`, of a library below /usr/lib or below what `.ci/tools` unpacked there."""
    for root in (TOOLS, Path("/")):
        for found in sorted(root.glob(f"usr/lib/{pattern}")):
            return found
    return _missing(pattern, package)


def require_file(path: str, package: str) -> None:
    """As `require`, of a file that a tool wants at its place."""
    if not Path(path).exists():
        _missing(path, package)


def _missing(tool: str, package: str) -> NoReturn:
    text = f"NOT CHECKED: {tool} is missing (Debian package: {package})"
    if os.environ.get("BREAKEVEN_REQUIRE_TOOLS") == "1":
        pytest.fail(text)
    pytest.skip(text)
