"""A network namespace of its own, tied to this one by two links, one of which a test cuts: nobody is told."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest

from tests.fakes.tools import require


@dataclass(frozen=True, slots=True)
class Apart:
    """The namespace: `kept` and `cuttable` are each link's addresses, ours first and then the namespace's."""

    name: str
    kept: tuple[str, str]
    cuttable: tuple[str, str]

    @property
    def under(self) -> tuple[str, ...]:
        """What a command there begins with."""
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Take the second link down: what is sent over it is lost."""
        _ip("link", "set", f"{self.name}b", "down")

    def mend(self) -> None:
        """Bring it up again."""
        _ip("link", "set", f"{self.name}b", "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=30)


@contextmanager
def apart() -> Iterator[Apart]:
    """A namespace, removed at the end. Skips the test, loudly, where that takes more rights than there are."""
    require("ip", "iproute2")
    if os.geteuid() != 0:
        pytest.skip("NOT CHECKED: a network namespace takes root")
    number = os.getpid() % 8192
    name = f"be{number}"
    # Sixteen addresses of the network for benchmarks (RFC 2544) for each process that tests.
    base = f"198.{18 + number // 4096}.{number // 16 % 256}"
    first = number % 16 * 16
    links = [(f"{base}.{first + 4 * link + 1}", f"{base}.{first + 4 * link + 2}") for link in (0, 1)]
    try:
        _ip("netns", "add", name)
        _ip("-n", name, "link", "set", "lo", "up")
        for (ours, theirs), link in zip(links, "ab", strict=True):
            _ip("link", "add", f"{name}{link}", "type", "veth", "peer", "name", f"inner{link}", "netns", name)
            _ip("address", "add", f"{ours}/30", "dev", f"{name}{link}")
            _ip("link", "set", f"{name}{link}", "up")
            _ip("-n", name, "address", "add", f"{theirs}/30", "dev", f"inner{link}")
            _ip("-n", name, "link", "set", f"inner{link}", "up")
    except subprocess.CalledProcessError as error:
        with suppress(subprocess.CalledProcessError):
            _ip("netns", "del", name)
        pytest.skip(f"NOT CHECKED: no network namespace here: {error.stderr.decode().strip()}")
    try:
        yield Apart(name, *links)
    finally:
        _ip("netns", "del", name)
