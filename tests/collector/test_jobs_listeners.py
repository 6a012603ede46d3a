"""Which processes serve an address, from /proc: a made-up one, and this machine's own."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from collector.jobs.listeners import Processes, Served
from tests.fakes.proc_folder import ProcFolder

pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="NOT CHECKED: the made-up /proc is little-endian")


@pytest.fixture
def proc(tmp_path: Path) -> ProcFolder:
    return ProcFolder(tmp_path / "proc")


def serving(proc: ProcFolder, address: str) -> Served:
    return Processes(proc.path).serving([address])[address]


def test_the_listener_and_all_below_it_serve_an_address(proc: ProcFolder) -> None:
    """vLLM: 100 is the API server, 101 its engine core, 102 that one's worker; 200 is another server."""
    proc.listens("127.0.0.1", 8000, 555)
    proc.listens("127.0.0.1", 8001, 556)
    proc.process(100, 1, 555, name="vllm (api) 0")
    proc.process(101, 100)
    proc.process(102, 101)
    proc.process(200, 1, 556)

    assert serving(proc, "127.0.0.1:8000") == Served(frozenset({100, 101, 102}))
    assert serving(proc, "127.0.0.1:8001") == Served(frozenset({200}))


@pytest.mark.parametrize(
    ("bound", "target"),
    [
        ("0.0.0.0", "127.0.0.1:8000"),
        ("::", "127.0.0.1:8000"),
        ("::ffff:127.0.0.1", "127.0.0.1:8000"),
        ("::1", "localhost:8000"),
        ("::1", "[::1]:8000"),
        ("10.9.0.7", "10.9.0.7:8000"),
        ("0.0.0.0", "10.9.0.7:8000"),
        ("0.0.0.0", "node-1:8000"),
        ("2001:db8::7", "[2001:db8::7]:8000"),
    ],
)
def test_an_address_of_this_machine_is_found_however_it_is_bound(proc: ProcFolder, bound: str, target: str) -> None:
    proc.owns(["10.9.0.7"], ["2001:db8::7"])
    proc.listens(bound, 8000, 555)
    proc.process(100, 1, 555)

    assert serving(proc, target) == Served(frozenset({100}))


@pytest.mark.parametrize("target", ["10.9.0.8:8000", "other:8000", "[2001:db8::8]:8000", "10.9.0.0:8000"])
def test_another_machines_address_is_nobodys_here_although_the_port_is_open(proc: ProcFolder, target: str) -> None:
    proc.owns(["10.9.0.7"], ["2001:db8::7"])
    proc.listens("0.0.0.0", 8000, 555)
    proc.process(100, 1, 555)

    assert serving(proc, target) == Served()


def test_a_socket_bound_to_the_address_goes_before_one_bound_to_all(proc: ProcFolder) -> None:
    proc.listens("0.0.0.0", 8000, 555)
    proc.listens("127.0.0.1", 8000, 556)
    proc.process(100, 1, 555)
    proc.process(200, 1, 556)

    assert serving(proc, "127.0.0.1:8000").process_ids == {200}


def test_a_connection_is_no_listener(proc: ProcFolder) -> None:
    proc.listens("127.0.0.1", 8000, 555, state="01")
    proc.process(100, 1, 555)

    assert serving(proc, "127.0.0.1:8000").process_ids == frozenset()
    assert "nothing listens on port 8000" in serving(proc, "127.0.0.1:8000").problem


def test_a_listener_of_another_user_is_said_to_be_one(proc: ProcFolder) -> None:
    proc.listens("127.0.0.1", 8000, 555)
    proc.process(100, 1, 555, readable=False)

    assert serving(proc, "127.0.0.1:8000").process_ids == frozenset()
    assert "another user" in serving(proc, "127.0.0.1:8000").problem


def test_in_a_pid_namespace_of_its_own_no_process_is_matched(tmp_path: Path) -> None:
    """The driver counts processes as the host does: number 7 here is another process there."""
    proc = ProcFolder(tmp_path / "proc", namespace="pid:[4026532001]")
    proc.listens("127.0.0.1", 8000, 555)
    proc.process(7, 1, 555)

    assert serving(proc, "127.0.0.1:8000").process_ids == frozenset()
    assert "PID namespace" in serving(proc, "127.0.0.1:8000").problem


def test_without_proc_there_is_no_answer_and_no_error(tmp_path: Path) -> None:
    assert Processes(tmp_path / "absent").serving(["127.0.0.1:1"])["127.0.0.1:1"].process_ids == frozenset()


def test_this_machines_own_listener_is_told_from_its_real_proc(tmp_path: Path) -> None:
    """The kernel's own files, read through links; only the namespace is made up, since tests run in containers."""
    for name in os.listdir("/proc"):
        if name.isdecimal() or name in ("net", "sys"):
            (tmp_path / name).symlink_to(f"/proc/{name}")
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to("pid:[4026531836]")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        served = Processes(tmp_path).serving([f"127.0.0.1:{port}", f"localhost:{port}"])
    if not Path("/proc/net/tcp").exists():
        pytest.skip("NOT CHECKED: this machine has no /proc/net/tcp")
    assert all(os.getpid() in one.process_ids for one in served.values())
