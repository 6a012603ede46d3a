"""What the daemon tells systemd: ready, alive, reloading, ending; by a socket that stands for systemd's."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

from tests.e2e.test_own_port import FLAGS, write
from tests.fakes.daemon_process import COMMAND, running


def test_systemd_is_told_of_each_state(tmp_path: Path) -> None:
    write(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        told: list[str] = []

        def until(wanted: str) -> None:
            told.clear()
            while not told or wanted not in told[-1].splitlines():
                told.append(systemd.recv(4096).decode())

        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
        with running(tmp_path, *FLAGS, environment=environment) as daemon:
            until("READY=1")
            until("WATCHDOG=1")
            daemon.process.send_signal(signal.SIGHUP)
            until("RELOADING=1")
            assert "MONOTONIC_USEC=" in told[-1]
            until("READY=1")
            daemon.process.send_signal(signal.SIGTERM)
            until("STOPPING=1")
            assert daemon.process.wait(20) == 0


def test_a_daemon_that_stands_by_is_ready_and_alive_and_no_reload_ends_it(tmp_path: Path) -> None:
    """It may wait for days: systemd must neither give its start up nor take a hang-up for its end."""
    write(tmp_path)
    with running(tmp_path, *FLAGS), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        told_to = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **told_to}
        command = [*COMMAND, *FLAGS, "--standby"]
        waiting = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
        try:
            while "STATUS=waiting for another daemon to end" not in (told := systemd.recv(4096).decode()).splitlines():
                pass
            assert "READY=1" in told.splitlines()
            waiting.send_signal(signal.SIGHUP)
            for _ in range(3):
                while systemd.recv(4096).decode() != "WATCHDOG=1":
                    pass
            assert waiting.poll() is None
            waiting.send_signal(signal.SIGTERM)
            assert waiting.wait(20) == 0
        finally:
            waiting.kill()


def test_nothing_is_sent_where_nobody_listens(tmp_path: Path) -> None:
    write(tmp_path)
    with running(tmp_path, *FLAGS, environment={"NOTIFY_SOCKET": str(tmp_path / "absent")}) as daemon:
        assert daemon.stop() == 0
