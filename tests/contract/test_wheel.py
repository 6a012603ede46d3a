"""The wheel alone, in an environment of its own away from the checkout: it installs, makes its schema, and runs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from collector.store.migrate import head
from tests.fakes.daemon_process import helper

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "deploy" / "constraints.txt"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built through the source distribution, so that a file missing from either shows."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an empty environment with nothing but the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    command = [str(folder / "bin" / "pip"), "install", "-q", "-c", str(CONSTRAINTS), f"{wheel}[postgres]"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "bin"


def run(bin_folder: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(bin_folder / "breakeven"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_the_wheel_holds_two_packages_the_migrations_and_the_rules(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names if ".dist-info" not in name}

    assert top == {"collector", "analyzer"}
    assert any(name.startswith("collector/_migrations/versions/0001") for name in names)
    assert "collector/_rules/alerts.yml" in names
    static = {path.relative_to(ROOT).as_posix() for path in (ROOT / "collector/export/static").rglob("*.*")}
    assert {"collector/export/static/vendor/uplot.js", "collector/export/static/vendor/uplot-LICENSE.txt"} <= static
    assert static <= set(names)
    assert not any("tests" in name for name in names)


def test_it_makes_its_schema_far_from_the_checkout(bin_folder: Path, tmp_path: Path) -> None:
    behind = run(bin_folder, tmp_path, "db", "status")
    upgraded = run(bin_folder, tmp_path, "db", "upgrade")
    current = run(bin_folder, tmp_path, "db", "status")

    assert (behind.returncode, upgraded.returncode, current.returncode) == (1, 0, 0), upgraded.stderr
    assert f"this release brings {head()}: current" in current.stdout


def test_it_finds_its_engines_and_names_its_version(bin_folder: Path, tmp_path: Path) -> None:
    assert run(bin_folder, tmp_path, "version").stdout.startswith("breakeven 0.")
    listed = run(bin_folder, tmp_path, "servers")

    assert listed.returncode == 0
    assert "vllm" in listed.stdout
    assert "llamacpp" in listed.stdout


def test_it_looks_at_a_live_server(bin_folder: Path, tmp_path: Path) -> None:
    config = (
        "scrape_configs: [{{job_name: a, static_configs: [{{targets: ['{address}']}}]}}]\ngpu: {{nvml: 'off'}}\n"
        "web: {{listen_address: '127.0.0.1:0'}}\n"
    )
    with helper("-m", "tests.fakes.simulated_vllm", "0", "1") as (_, url):
        (tmp_path / "c.yaml").write_text(config.format(address=url.removeprefix("http://")))
        result = run(bin_folder, tmp_path, "doctor", "--config.file", "c.yaml")

    assert result.returncode == 0, result.stdout + result.stderr
    assert "vllm: meta-llama/Llama-3.1-8B-Instruct rank 0" in result.stdout
