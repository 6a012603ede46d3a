"""The image and the compose file, by their structure: no engine runs here. Health check and secrets run for real."""

from __future__ import annotations

import json
import re
import shlex
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from collector.cli import commands
from collector.cli.configured import configured
from collector.store.place import place
from tests.fakes.own_port import certificate

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROVISIONING = ROOT / "grafana" / "provisioning"
POSTGRES = "grafana-postgresql-datasource"


def _instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines if line.strip())]


def _last_stage() -> dict[str, list[str]]:
    """The instructions of the image that is shipped."""
    found: dict[str, list[str]] = {}
    for name, rest in _instructions():
        found = {} if name == "FROM" else found
        found.setdefault(name, []).append(rest)
    return found


def test_the_image_is_built_in_a_stage_of_its_own_from_the_locked_versions() -> None:
    stages = [rest for name, rest in _instructions() if name == "FROM"]
    installs = [rest for name, rest in _instructions() if name == "RUN" and "pip install" in rest]

    assert [stage.split(" AS ")[0] for stage in stages] == ["python:${PYTHON}"] * 2
    assert ("ARG", "PYTHON=3.12-slim-bookworm") in _instructions()
    assert all("-c constraints.txt" in run for run in installs)
    assert "COPY" in _last_stage()
    assert all(copied.startswith("--from=build ") for copied in _last_stage()["COPY"])
    assert not any("pip" in run for run in _last_stage()["RUN"])


def test_the_image_runs_without_root_and_writes_into_its_volume_alone() -> None:
    stage = _last_stage()
    (user,), (volume,), (folder,) = stage["USER"], stage["VOLUME"], stage["WORKDIR"]

    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert volume == folder == "/var/lib/breakeven"
    assert f"--owner={user.partition(':')[0]}" in stage["RUN"][0]
    assert "PYTHONDONTWRITEBYTECODE=1" in stage["ENV"][0]
    assert "NVIDIA_DRIVER_CAPABILITIES=utility" in stage["ENV"][0]


def test_the_images_command_exists() -> None:
    stage = _last_stage()
    program, command = json.loads(stage["ENTRYPOINT"][0]), json.loads(stage["CMD"][0])
    mounted = [volume.split(":")[1] for volume in SERVICES["breakeven"]["volumes"]]

    assert program == ["breakeven"]
    assert command[1] in CliRunner().invoke(commands, [command[0], "--help"]).output
    assert command[2] in mounted


def test_what_the_build_copies_exists_and_nothing_else_enters_it() -> None:
    """Above all not the secrets, which lie beside the Dockerfile."""
    copied = {
        source
        for name, rest in _instructions()
        if name == "COPY" and not rest.startswith("--from")
        for source in shlex.split(rest)[:-1]
    }
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()

    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == copied
    assert "*" in ignored
    assert all((ROOT / source).exists() for source in copied)


class _Healthy(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/-/healthy" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def _served(status: int, context: ssl.SSLContext | None = None) -> Iterator[int]:
    handler = type("Handler", (_Healthy,), {"status": status})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def _health_check(port: int) -> int:
    """The image's own check, asked at another port."""
    (text,) = _last_stage()["HEALTHCHECK"]
    program, *arguments = json.loads(text[text.index("CMD") + 3 :])
    assert program == "python"
    command = [sys.executable, *(one.replace(" 9877,", f" {port},") for one in arguments)]
    return subprocess.run(command, capture_output=True).returncode


def test_the_images_health_check_passes_on_a_healthy_daemon_and_fails_on_any_other() -> None:
    with _served(200) as port:
        assert _health_check(port) == 0
    with _served(503) as port:
        assert _health_check(port) == 1
    assert _health_check(port) == 1


@pytest.mark.parametrize("strict", [False, True])
def test_the_images_health_check_passes_where_the_port_wants_credentials(tmp_path: Path, strict: bool) -> None:
    """By password, over TLS, or by a certificate of the client's, which it has not."""
    cert, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if strict:
        context.load_verify_locations(cert)
        context.verify_mode = ssl.CERT_REQUIRED
    with _served(401) as port:
        assert _health_check(port) == 0
    with _served(401, context) as port:
        assert _health_check(port) == 0


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned_and_named_without_a_registry(name: str) -> None:
    image = SERVICES[name]["image"]
    repository, _, tag = image.partition(":")

    assert "." not in repository
    assert tag != "latest"
    assert bool(tag) != ("build" in SERVICES[name])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_bound_to_loopback_and_kept_small(name: str) -> None:
    service = SERVICES[name]

    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service.get("network_mode") != "host"
    assert name == "postgres" or "cap_add" not in service


def test_only_postgres_keeps_its_port_to_itself() -> None:
    assert {name for name, service in SERVICES.items() if "ports" not in service} == {"postgres"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_health_check_and_waits_for_healthy_ones(name: str) -> None:
    """Breakeven's is in its image."""
    assert ("healthcheck" in SERVICES[name]) == (name != "breakeven")
    for other, condition in SERVICES[name].get("depends_on", {}).items():
        assert condition == {"condition": "service_healthy"}
        assert "healthcheck" in SERVICES[other]


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_exists(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, _, rest = volume.partition(":")
        if source.startswith("."):
            assert (DOCKER / source).exists()
            assert rest.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]


def test_secrets_come_from_files_and_stand_nowhere_else() -> None:
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    environment = {key: value for service in SERVICES.values() for key, value in service.get("environment", {}).items()}

    assert used == COMPOSE["secrets"].keys()
    assert all(secret == {"file": f"./secrets/{name}"} for name, secret in COMPOSE["secrets"].items())
    for key, value in environment.items():
        if "PASSWORD" in key:
            assert value.removeprefix("/run/secrets/") in used
    assert (DOCKER / ".gitignore").read_text() == "secrets/\n"


def test_the_gpu_file_only_adds_the_gpus() -> None:
    added = yaml.safe_load((DOCKER / "compose.gpu.yaml").read_text())["services"]

    assert added.keys() == {"breakeven"}
    assert added["breakeven"].keys() == {"deploy"}


def test_composes_configuration_loads_and_fits_what_is_around_it() -> None:
    settings = configured(DOCKER / "breakeven.yaml")
    host, _, port = settings.web.listen_address.rpartition(":")
    (published,) = SERVICES["breakeven"]["ports"]
    (scraped,) = yaml.safe_load((DOCKER / "prometheus.yml").read_text())["scrape_configs"]

    assert (host, published) == ("0.0.0.0", f"127.0.0.1:9877:{port}")
    assert settings.storage.url_file == Path("/run/secrets/database_url")
    assert scraped["static_configs"] == [{"targets": [f"breakeven:{port}"]}]
    assert _last_stage()["EXPOSE"] == [port]


def test_make_secrets_makes_each_secret_once_and_keeps_what_is_there(tmp_path: Path) -> None:
    script = tmp_path / "make-secrets.sh"
    script.write_text((DOCKER / "make-secrets.sh").read_text())

    def made() -> dict[str, str]:
        subprocess.run(["sh", script], check=True, capture_output=True, cwd="/")
        return {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}

    first = made()
    url = place(first["database_url"]).url

    assert first.keys() == COMPOSE["secrets"].keys()
    assert re.fullmatch(r"[0-9a-f]{48}", first["postgres_password"])
    assert first["postgres_password"] != first["grafana_admin_password"]
    assert (url.username, url.password, url.host) == ("breakeven", first["postgres_password"], "postgres")
    assert url.database == SERVICES["postgres"]["environment"]["POSTGRES_DB"]
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert made() == first
    (tmp_path / "secrets" / "grafana_admin_password").unlink()
    assert made()["postgres_password"] == first["postgres_password"]


def test_grafana_finds_its_data_sources_and_the_dashboards() -> None:
    mounted = {volume.split(":")[1]: volume.split(":")[0] for volume in SERVICES["grafana"]["volumes"]}
    provisioned = "/etc/grafana/provisioning"
    sources = {
        Path(inside).stem: yaml.safe_load((DOCKER / outside).read_text())["datasources"]
        for inside, outside in mounted.items()
        if inside.startswith(f"{provisioned}/datasources/")
    }
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "breakeven.yaml").read_text())["providers"]
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])

    ((prometheus,), (postgres,)) = sources["prometheus"], sources["postgres"]
    assert (prometheus["type"], prometheus["url"]) == ("prometheus", "http://prometheus:9090")
    assert prometheus["uid"]
    assert (postgres["type"], postgres["url"], postgres["user"]) == (POSTGRES, "postgres:5432", "grafana")
    assert postgres["jsonData"]["database"] == SERVICES["postgres"]["environment"]["POSTGRES_DB"]
    (secret,) = re.findall(r"^\$__file\{/run/secrets/(.*)\}$", postgres["secureJsonData"]["password"])
    assert secret in SERVICES["grafana"]["secrets"]
    assert secret in SERVICES["postgres"]["secrets"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)
    assert provider["options"]["path"] == str(home.parent)
    assert mounted[str(home.parent)] == "../../grafana/dashboards"
    assert mounted[f"{provisioned}/dashboards"] == "../../grafana/provisioning/dashboards"
    assert (ROOT / "grafana" / "dashboards" / home.name).exists()
