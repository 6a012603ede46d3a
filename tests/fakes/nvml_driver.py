"""The fake GPU driver for tests: compiles `nvml/fake_nvml.c` to a `libnvidia-ml.so.1` that the real pynvml loads."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path

from tests.fakes.tools import require

SOURCE = Path(__file__).parent / "nvml" / "fake_nvml.c"


def compiled(folder: Path, without: tuple[str, ...] = ()) -> Path:
    """Compiles the driver into `folder` and returns that folder; an old driver is one `without` some symbols.

    Skips the test when there is no gcc, fails it when BREAKEVEN_REQUIRE_TOOLS=1.
    """
    gcc = require("gcc", "gcc libc6-dev")
    folder.mkdir(parents=True, exist_ok=True)
    exports = folder / "exports"
    exports.write_text("{ global: nvml*; local: " + "".join(f"{name}; " for name in without) + "*; };\n")
    library = folder / "libnvidia-ml.so.1"
    options = ["-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
    linking = [f"-Wl,--version-script={exports}", "-o", str(library)]
    subprocess.run([gcc, *options, *linking, str(SOURCE)], check=True, timeout=60)
    return folder


class FakeDriver:
    """One fake driver: `say` rewrites its control file, `calls` counts what was asked of it."""

    def __init__(self, library_folder: Path, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._control = folder / "control"
        self._log = folder / "calls"
        self.environment = {
            **os.environ,
            "LD_LIBRARY_PATH": str(library_folder),
            "FAKE_NVML_CONTROL": str(self._control),
            "FAKE_NVML_LOG": str(self._log),
        }
        self.say()

    def say(self, *lines: str) -> None:
        """Replaces the whole control file, in one step: a call sees the old one or the new one."""
        fresh = self._control.with_suffix(".new")
        fresh.write_text("".join(f"{line}\n" for line in lines))
        fresh.replace(self._control)

    def calls(self) -> Counter[str]:
        """How often each `FUNCTION` (about the host) or `FUNCTION gpuN` was called so far."""
        return Counter(self._log.read_text().splitlines() if self._log.exists() else ())
