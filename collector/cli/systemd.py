"""Tells systemd how the daemon is doing, by the protocol of sd_notify(3): a datagram to the socket it names."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Systemd:
    """Where to send; None when systemd did not start us, and then nothing is sent."""

    address: str | None = None
    watchdog_s: float | None = None
    """systemd restarts a service that it has not heard of for this long."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Systemd:
        """From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return cls()
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        told = environment.get("WATCHDOG_USEC", "")
        return cls(address, int(told) / 1e6 if ours and told.isdigit() and int(told) > 0 else None)

    def ready(self) -> None:
        """Started, or done with a reload."""
        self._send("READY=1\nSTATUS=")

    def standing_by(self) -> None:
        """Started, and waiting for another daemon to end: for days, which no limit of a start allows."""
        self._send("READY=1\nSTATUS=waiting for another daemon to end")

    def reloading(self) -> None:
        """Reading the configuration anew."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Ending in order."""
        self._send("STOPPING=1")

    async def keep_alive(self) -> None:
        """Send signs of life for as long as the event loop turns."""
        while self.watchdog_s is not None:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 3)

    def _send(self, text: str) -> None:
        if self.address is None:
            return
        # An abstract address begins with a NUL, written as @.
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(text.encode(), address)
