"""What an operator copies: the example configuration loads, commands exist, links lead somewhere, nothing leaks."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from click import Context
from click.testing import CliRunner

from collector.cli import commands
from collector.cli.configured import configured
from collector.settings import Settings
from collector.store.place import place
from tests.fakes.tools import require

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "breakeven.service"
EXAMPLE = DEPLOY / "config.example.yaml"
SHIPPED = [
    file
    for folder in (DEPLOY, ROOT / "grafana")
    for file in sorted(folder.rglob("*"))
    if file.is_file() and "secrets" not in file.parts and "__pycache__" not in file.parts
]


def test_the_example_configuration_loads_and_everything_it_names_exists() -> None:
    settings = configured(EXAMPLE)

    assert [job.job_name for job in settings.scrape_configs] == ["vllm", "llama", "gpus"]
    assert settings.scrape_configs[1].engine == "llamacpp"
    assert [one.name for one in settings.deployments] == ["chat", "internal-tools"]
    for one in settings.deployments:
        assert one.price is not None
        assert one.costs.engineering_hours is not None
        assert one.minimum_replicas >= 1
    assert settings.deployments[0].quality["fp8-w8a8"].result == "pass"
    assert settings.storage.url is not None
    assert place(settings.storage.url.get_secret_value()).path == Path("/var/lib/breakeven/breakeven.db")


def test_what_the_example_shows_in_comments_loads_too(tmp_path: Path) -> None:
    """Postgres instead of SQLite, a server's key, targets from files, a receiver of notifications."""
    text = EXAMPLE.read_text().replace("  url: sqlite:////var/lib/breakeven/breakeven.db\n", "")
    file = tmp_path / "config.yaml"
    file.write_text(re.sub(r"^( *)# ( *(?:- )?[a-z_]+:)", r"\1\2", text, flags=re.MULTILINE))

    settings = configured(file)

    assert settings.storage.url_file == Path("/run/credentials/breakeven.service/database-url")
    assert settings.scrape_configs[1].authorization is not None
    assert settings.scrape_configs[2].file_sd_configs[0].refresh_interval == 60.0
    assert [(one.name, one.kind) for one in settings.notifications] == [("platform-team", "slack")]


def test_the_pasted_job_is_one_that_prometheus_accepts(tmp_path: Path) -> None:
    job = yaml.safe_load(EXAMPLE.read_text())["scrape_configs"][0]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [job]}))
    promtool = require("promtool", "prometheus")

    result = subprocess.run([promtool, "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True)

    assert result.returncode == 0, result.stdout + result.stderr


def test_the_example_shows_every_section() -> None:
    """In comments: who is told."""
    shown = set(yaml.safe_load(EXAMPLE.read_text()))

    assert {field.alias or name for name, field in Settings.model_fields.items()} - shown == {"gpu", "notifications"}


def _unit() -> dict[str, list[str]]:
    """The unit's settings, each with its values in order."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        key, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_the_unit_starts_a_command_that_exists() -> None:
    (command,) = _unit()["ExecStart"]
    program, name, option, file = shlex.split(command)

    assert Path(program).name == "breakeven"
    assert option in CliRunner().invoke(commands, [name, "--help"]).output
    assert file == "/etc/breakeven/config.yaml"


def test_the_unit_writes_in_its_state_folder_alone_and_sees_nvidias_devices_alone() -> None:
    unit = _unit()

    assert unit["ProtectSystem"] == ["strict"]
    assert unit["StateDirectory"] == ["breakeven"]
    assert unit["WorkingDirectory"] == ["/var/lib/breakeven"]
    assert "ReadWritePaths" not in unit
    assert unit["DevicePolicy"] == ["closed"]
    assert unit["DeviceAllow"] == ["char-nvidia* rw"]
    assert "PrivateDevices" not in unit
    assert (unit["Type"], unit["WatchdogSec"]) == (["notify"], ["60"])
    assert unit["TimeoutStopSec"] == ["15"]


def test_the_units_secret_is_where_the_example_looks_for_it_and_says_when_it_is_missing() -> None:
    (loaded,), (stand_in,) = _unit()["LoadCredential"], _unit()["SetCredential"]
    name, _, source = loaded.partition(":")
    other, _, value = stand_in.partition(":")

    assert f"url_file: /run/credentials/{UNIT.name}/{name}" in EXAMPLE.read_text()
    assert f"url_file: /run/credentials/{UNIT.name}/{name}" in (DEPLOY / "README.md").read_text()
    assert source in (DEPLOY / "README.md").read_text()
    assert other == name
    with pytest.raises(Exception, match="begins with missing://"):
        place(value)


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """With a program that exists on any machine in the place of ours."""
    analyze = require("systemd-analyze", "systemd")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/breakeven/bin/breakeven", "/bin/true"))

    result = subprocess.run([analyze, "verify", unit], capture_output=True, text=True)

    assert result.returncode == 0, result.stderr
    assert UNIT.name not in result.stderr


def test_the_units_exposure_is_at_most_2() -> None:
    """systemd's own scale runs from 0 to 10; a bare unit has 9.6."""
    analyze = require("systemd-analyze", "systemd")
    command = [analyze, "security", "--offline=true", "--threshold=20", "--no-pager", UNIT]

    result = subprocess.run(command, capture_output=True, text=True)

    assert result.returncode == 0, result.stdout[-300:] + result.stderr


def _documents() -> list[Path]:
    return [file for file in SHIPPED if file.suffix == ".md"]


@pytest.mark.parametrize("file", _documents(), ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_to_files(file: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", file.read_text()):
        if "://" not in link:
            assert (file.parent / link).exists(), link


@pytest.mark.parametrize("file", _documents(), ids=lambda file: str(file.relative_to(ROOT)))
def test_commands_in_the_documents_exist(file: Path) -> None:
    text = file.read_text()
    named = re.findall(r"(?<![\w/.-])(?:/opt/breakeven/bin/)?breakeven ([a-z][a-z-]*)(?= |`|\n)", _code(text))

    for name in named:
        assert commands.get_command(Context(commands), name) is not None, name


def _code(text: str) -> str:
    """The blocks and spans of code, without lines in which `breakeven` is a unit, a user or an image."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    lines = [*"".join(blocks).splitlines(), *spans]
    return "\n".join(line for line in lines if not re.search(r"ctl\b|docker|useradd|sudo", line)) + "\n"


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_registry_and_no_address_of_anyone_stands_in_what_is_shipped(file: Path) -> None:
    """Image names and packages are asked from wherever the operator's tools are set up to ask."""
    text = file.read_text(encoding="utf-8", errors="replace")  # pictures carry text as well
    hosts = set(re.findall(r"https?://([\w.-]*\w)", text))

    assert not re.search(r"\b(pypi|docker\.io|ghcr\.io|quay\.io|gcr\.io|npmjs)\b", text, re.IGNORECASE)
    assert {host for host in hosts if "." in host} <= {"127.0.0.1"}
