"""What `doctor` says: where the database lies, who is let in at our port, and what a page lacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from collector.cli.mounts import filesystem_of
from tests.fakes.daemon_files import write_files
from tests.fakes.daemon_process import cli
from tests.fakes.network_disk import network_disk
from tests.fakes.played_server import played

CONFIG = """
gpu: {{nvml: "off"}}
web: {{listen_address: "0.0.0.0:0"{web}}}
storage: {{url: "sqlite:///{file}"}}
"""
MOUNTS = r"""
22 1 8:1 / / rw,relatime - ext4 /dev/root rw
30 22 0:40 / /srv rw - nfs4 10.0.0.7:/srv rw,vers=4.2
31 30 0:41 / /srv/local\040disk rw shared:7 - xfs /dev/sdb rw
32 22 0:42 / /data rw - ext4 /dev/sdc rw
33 22 0:43 / /data rw - fuse.sshfs host:/data rw
"""


def found(folder: Path, file: Path, web: str = "") -> list[dict[str, Any]]:
    """The findings about storage and port."""
    (folder / "config.yaml").write_text(CONFIG.format(file=file, web=web))
    result = cli(folder, "doctor", "--config.file", "config.yaml", "--json")
    assert result.returncode == 0, result.stdout + result.stderr
    return [one for one in json.loads(result.stdout) if one["about"] in ("database", "listen address")]


@pytest.mark.fault("4", "a database on a network file system", promise="`doctor` names it, and what to do")
@pytest.mark.fault("5", "listening beyond loopback", promise="`doctor` notes where nobody is asked for a password")
def test_a_database_on_a_network_file_system_and_an_open_port_are_noted(tmp_path: Path) -> None:
    with network_disk(tmp_path) as disk:
        findings = found(tmp_path, disk / "run.db")
    notes = {one["about"]: one for one in findings if one["level"] == "note"}
    assert "lies on fuse.sshfs" in notes["database"]["text"]
    assert "local disk" in notes["database"]["remedy"]
    assert "without a password" in notes["listen address"]["text"]
    assert "basic_auth_users" in notes["listen address"]["remedy"]


def test_a_local_database_and_a_guarded_port_are_not(tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(b"any", bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(f"basic_auth_users: {{anna: '{hashed}'}}\n")
    findings = found(tmp_path, tmp_path / "run.db", ', config_file: "web.yml"')
    assert {one["level"] for one in findings} == {"ok"}


@pytest.mark.fault(
    "2", "a metric is renamed or missing", promise="`doctor` names each figure that a page lacks, and what to do"
)
def test_figures_that_a_page_lacks_are_named(tmp_path: Path) -> None:
    """The played page is vLLM's without the gauge of its KV cache."""
    with played(1) as (server,):
        write_files(tmp_path, f"sqlite:///{tmp_path / 'run.db'}", server.address)
        result = cli(tmp_path, "doctor", "--config.file", "config.yaml", "--json")
    findings = [one for one in json.loads(result.stdout) if one["about"] == f"played {server.url}"]
    lacking = {one["text"]: one["remedy"] for one in findings if one["level"] == "note"}
    assert result.returncode == 0, result.stdout + result.stderr
    assert "breakeven capture" in lacking["does not report kv_usage_ratio"]
    assert "does not report steps_total" not in lacking
    assert all(remedy for text, remedy in lacking.items() if text.startswith("does not report"))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/run.db", "ext4"),
        ("/srv/run.db", "nfs4"),
        ("/srv/local disk/run.db", "xfs"),
        ("/srv/local disks/run.db", "nfs4"),
        ("/data/run.db", "fuse.sshfs"),
    ],
)
def test_the_last_mount_nearest_above_a_path_counts(path: str, kind: str) -> None:
    """`proc_pid_mountinfo(5)`: any number of optional fields stand before the hyphen; spaces are octal."""
    assert filesystem_of(Path(path), MOUNTS) == kind


@pytest.mark.parametrize("text", ["", "nonsense", "1 2 3 - ", "a b c d / - "])
def test_a_list_of_mounts_that_cannot_be_read_tells_nothing(text: str) -> None:
    assert filesystem_of(Path("/x"), text) is None
