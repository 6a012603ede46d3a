"""The child process that may hang in the driver: one JSON request per line in, one JSON answer per line out.

`{"id": 1, "gpm": false}` is answered by `{"id": 1, "rss_bytes": ..., "gpus": [...], ...}` or, when NVML as a whole
failed, by `{"id": 1, "failed": {"code": 18, "name": "lib_rm_version_mismatch", "text": "..."}}`.
The first request loads and initialises NVML. The process ends on the end of its input and on SIGTERM, after
nvmlShutdown; and also when NVML failed as a whole, because a loaded library stays what it was.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from types import ModuleType

TYPE_CHECKING = False
"""What `typing` says at run time too: this process has half a megabyte less without it."""
if TYPE_CHECKING:
    from typing import Any, NoReturn

ORPHAN_LIMIT_S = 60.0
"""A call that lasts this long ends the process: its daemon, which has far shorter deadlines, must have died."""


def main() -> None:
    """Serves requests until the input ends."""
    answers = _private_stdout()
    _search_late()
    from collector.gpu.nvml import NvmlFailedError, NvmlSession

    session: NvmlSession | None = None
    signal.signal(signal.SIGTERM, _leave)
    # The default action needs no Python code to run, so it also ends a process that hangs in the driver.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    try:
        for line in sys.stdin.buffer:
            request = json.loads(line)
            signal.setitimer(signal.ITIMER_REAL, ORPHAN_LIMIT_S)
            try:
                if session is None:
                    session = NvmlSession(gpm=request["gpm"])
                answer = session.read()
            except NvmlFailedError as error:
                failed = {"code": error.code, "name": error.name, "text": str(error)}
                _send(answers, {"id": request["id"], "failed": failed})
                return
            signal.setitimer(signal.ITIMER_REAL, 0)
            _send(answers, {"id": request["id"], "rss_bytes": _rss_bytes(), **answer})
    except BrokenPipeError:
        return
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, ORPHAN_LIMIT_S)
        if session is not None:
            session.close()


def _search_late() -> None:
    """Import `ctypes.util` when a library is searched for: pynvml does on Windows alone, and it brings 2 MB along."""

    def find_library(name: str) -> str | None:
        del sys.modules["ctypes.util"]
        from ctypes.util import find_library as found

        return found(name)

    late = ModuleType("ctypes.util")
    vars(late)["find_library"] = find_library
    sys.modules.setdefault("ctypes.util", late)


def _private_stdout() -> int:
    """A copy of stdout for answers alone; what the driver library prints goes to stderr from here on."""
    answers = os.dup(1)
    os.dup2(2, 1)
    return answers


def _leave(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


def _send(answers: int, answer: dict[str, Any]) -> None:
    rest = json.dumps(answer, separators=(",", ":")).encode() + b"\n"
    while rest:
        rest = rest[os.write(answers, rest) :]


def _rss_bytes() -> int | None:
    """Resident memory of this process; None where there is no /proc."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


if __name__ == "__main__":
    main()
