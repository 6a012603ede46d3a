"""A decoy in every secret field: no log, page, metric, answer, report, error or database ever holds one."""

from __future__ import annotations

import base64
import json
import signal
import threading
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import bcrypt
import pytest
from pydantic import BaseModel, SecretStr

from collector.settings.model import Settings
from collector.settings.web_config import WebConfig
from tests.fakes.daemon_process import DaemonProcess, cli, running
from tests.fakes.own_port import certificate
from tests.fakes.played_server import PlayedServer, played

PASSWORD = "decoy-of-our-own-port"
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 2s}}
gpu: {{nvml: "off"}}
log: {{level: debug}}
web: {{listen_address: "127.0.0.1:0", config_file: web.yml}}
storage: {{{storage}}}
scrape_configs:
  - job_name: good
    static_configs: [{{targets: ["{good}"]}}]
    basic_auth: {{username: anna, password: decoy-a}}
  - job_name: basic
    static_configs: [{{targets: ["{echo}"]}}]
    basic_auth: {{username: anna, password: decoy-b}}
  - job_name: basic_of_file
    metrics_path: /of_file
    static_configs: [{{targets: ["{echo}"]}}]
    basic_auth: {{username: anna, password_file: password}}
  - job_name: bearer
    metrics_path: /bearer
    static_configs: [{{targets: ["{echo}"]}}]
    authorization: {{credentials: decoy-c}}
    tls_config: {{cert_file: client.pem, key_file: client.key, insecure_skip_verify: true}}
  - job_name: found
    metrics_path: /found
    http_sd_configs:
      - url: http://{echo}/list
        refresh_interval: 1s
        basic_auth: {{username: anna, password: decoy-d}}
      - url: http://{echo}/other-list
        refresh_interval: 1s
        authorization: {{credentials_file: token}}
        tls_config: {{cert_file: client.pem, key_file: client.key}}
    authorization: {{credentials_file: token}}
    credentials_to_discovered: true
notifications:
  - {{name: slack, kind: slack, url: "http://{echo}/services/decoy-h", authorization: {{credentials: decoy-c}}}}
  - {{name: file, kind: webhook, url_file: hook, basic_auth: {{username: anna, password_file: password}}}}
  - name: tls
    kind: webhook
    url: https://{echo}/decoy-i
    tls_config: {{cert_file: client.pem, key_file: client.key}}
"""
PLANTED = {
    "Settings.scrape_configs.basic_auth.password",
    "Settings.scrape_configs.basic_auth.password_file",
    "Settings.scrape_configs.authorization.credentials",
    "Settings.scrape_configs.authorization.credentials_file",
    "Settings.scrape_configs.tls_config.key_file",
    "Settings.scrape_configs.http_sd_configs.basic_auth.password",
    "Settings.scrape_configs.http_sd_configs.authorization.credentials_file",
    "Settings.scrape_configs.http_sd_configs.tls_config.key_file",
    "Settings.notifications.url",
    "Settings.notifications.url_file",
    "Settings.notifications.basic_auth.password_file",
    "Settings.notifications.authorization.credentials",
    "Settings.notifications.tls_config.key_file",
    "Settings.storage.url",
    "Settings.storage.url_file",
    "WebConfig.tls_server_config.key_file",
    "WebConfig.basic_auth_users",
}
SAME_CLASS = {
    "Settings.scrape_configs.http_sd_configs.basic_auth.password_file",
    "Settings.scrape_configs.http_sd_configs.authorization.credentials",
    "Settings.notifications.basic_auth.password",
    "Settings.notifications.authorization.credentials_file",
}
"""Not planted by themselves: the same classes stand beside them, or in the job."""


def secret_fields(model: type[BaseModel], path: str) -> Iterator[str]:
    """Where a configuration may hold a secret, or name a file that does."""
    for name, field in model.model_fields.items():
        parts = set(_parts(field.annotation))
        place = f"{path}.{name}"
        if SecretStr in parts or name in {"password_file", "credentials_file", "url_file", "key_file"}:
            yield place
        for one in parts:
            if isinstance(one, type) and issubclass(one, BaseModel):
                yield from secret_fields(one, place)


def _parts(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in {Union, types.UnionType, Annotated, tuple, dict, list}:
        for one in get_args(annotation):
            yield from _parts(one)
    else:
        yield annotation


def test_every_secret_field_has_its_decoy() -> None:
    found = {*secret_fields(Settings, "Settings"), *secret_fields(WebConfig, "WebConfig")}

    assert found == PLANTED | SAME_CLASS


class Echo(BaseHTTPRequestHandler):
    """Refuses everyone, and says what it was sent wherever an answer has room."""

    seen: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        sent = self.headers.get("Authorization", "nothing")
        plain = base64.b64decode(sent.split()[1]).decode() if sent.startswith("Basic") else sent
        self.seen.add(plain.removeprefix("Bearer ").removeprefix("anna:"))
        body = json.dumps({"error": f"{sent} {plain}"}).encode()
        self.send_response(401, f"no {plain}")
        self.send_header("WWW-Authenticate", f'Basic realm="{plain}"')
        self.send_header("Location", f"http://{plain}/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.add(self.path)
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def good() -> Iterator[PlayedServer]:
    with played(1) as (one,):
        yield one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, echo: str, good: PlayedServer) -> Path:
    made: Path = tmp_path_factory.mktemp("secrets")
    (made / "password").write_text("decoy-of-a-password-file\n")
    (made / "token").write_text("decoy-of-a-token-file\n")
    (made / "hook").write_text(f"http://{echo}/services/decoy-of-a-hook-file\n")
    certificate(made, "client")
    certificate(made, "server")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (made / "web.yml").write_text(f"basic_auth_users: {{anna: {hashed}}}\n")
    tls = f"tls_server_config: {{cert_file: server.pem, key_file: server.key}}\nbasic_auth_users: {{anna: {hashed}}}\n"
    (made / "web-tls.yml").write_text(tls)
    (made / "config.yaml").write_text(CONFIG.format(good=good.address, echo=echo, storage='url: "sqlite:///run.db"'))
    (made / "url").write_text("postgresql://anna:decoy-of-a-url-file@127.0.0.1:1/db\n")
    for name, storage in (
        ("postgres", 'url: "postgresql://anna:decoy-e@127.0.0.1:1/db?application_name=decoy-f"'),
        ("postgres-file", "url_file: url"),
    ):
        text = CONFIG.format(good=good.address, echo=echo, storage=storage).replace("web.yml", "web-tls.yml")
        (made / f"{name}.yaml").write_text(text)
    return made


def refuse_secrets(folder: Path, **outputs: str) -> None:
    """Fail where an output holds a decoy, plain or as a header carries it, or a key, or a password's hash."""
    passwords = ("a", "b", "d", "of-a-password-file")
    secrets = [
        "decoy",
        *(base64.b64encode(f"anna:decoy-{name}".encode()).decode() for name in passwords),
        *((folder / key).read_text().splitlines()[1] for key in ("client.key", "server.key")),
    ]
    secrets.append((folder / "web.yml").read_text().split()[2].rstrip("}"))
    for name, text in outputs.items():
        assert text, f"{name} is empty"
        for secret in secrets:
            at = text.find(secret)
            assert at < 0, f"{name}: ...{text[max(0, at - 200) : at + 80]}..."


def ask(daemon: DaemonProcess, path: str, password: str) -> str:
    """Head and body of an answer."""
    sent = base64.b64encode(f"anna:{password}".encode()).decode()
    try:
        with urlopen(Request(daemon.url + path, headers={"Authorization": f"Basic {sent}"}), timeout=10) as answer:
            return f"{answer.headers}\n{answer.read().decode()}"
    except HTTPError as error:
        with error:
            return f"{error.headers}\n{error.read().decode()}"


@pytest.mark.fault(
    "5",
    "a secret in a log, page, metric or file",
    promise="a decoy in every secret field, echoed by every peer, is in no log, page, answer, report or database",
)
def test_no_output_of_a_running_daemon_holds_a_secret(folder: Path, good: PlayedServer) -> None:
    with running(folder, "run", "--config.file", "config.yaml") as daemon:
        daemon.until(lambda: '"fresh":true' in ask(daemon, "/api/v1/report", PASSWORD).replace(" ", ""))
        health = json.loads(ask(daemon, "/api/v1/health", PASSWORD).split("\n\n", 1)[1])
        reasons = {one["job"]: one["reason"] for one in health["targets"]}
        assert reasons == {
            "good": None,
            "basic": "unauthorized",
            "basic_of_file": "unauthorized",
            "bearer": "unauthorized",
        }
        document = json.loads(ask(daemon, "/api/v1/openapi.json", PASSWORD).split("\n\n", 1)[1])
        paths = [path for path in document["paths"] if "{" not in path]
        paths += ["/", "/metrics", "/-/healthy", "/-/ready", "/-/reload", "/nowhere", "/api/v1/replicas/nobody"]
        answers = {path: ask(daemon, path, PASSWORD) for path in paths}
        answers |= {f"{path} without a password": ask(daemon, path, "decoy-that-is-wrong") for path in paths}
        (folder / "config.yaml").write_text((folder / "config.yaml").read_text() + "unknown: decoy-g\n")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda: "unknown key" in daemon.log.read_text())
        assert daemon.stop() == 0
        refuse_secrets(folder, **answers, log=daemon.log.read_text())
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text().replace("unknown: decoy-g\n", ""))
    sent = {"decoy-b", "decoy-c", "decoy-d", "decoy-of-a-password-file", "decoy-of-a-token-file"}
    assert Echo.seen == sent
    assert "discovery failed" in daemon.log.read_text()
    kept = {file.name: file.read_bytes().decode("latin-1") for file in folder.glob("run.db*") if file.stat().st_size}
    assert "run.db" in kept
    refuse_secrets(folder, **kept)


COMMANDS = {
    "config": (
        "check-config {}",
        "doctor --json --config.file {}",
        "report --config.file {}",
        "alerts test --config.file {}",
    ),
    "postgres": ("doctor --json --config.file {}", "run --config.file {}", "report --config.file {}"),
    "postgres-file": ("doctor --json --config.file {}", "db status --config.file {}"),
}
"""With a database of its own, and with one that does not answer."""


@pytest.mark.fault(
    "5", "a secret in a configuration error", promise="nor is one in what any command prints, well or ill"
)
@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_prints_a_secret(folder: Path, name: str) -> None:
    for command in COMMANDS[name]:
        result = cli(folder, *command.format(f"{name}.yaml").split())
        assert "Traceback" not in result.stderr
        refuse_secrets(folder, **{command: result.stdout + result.stderr})


@pytest.mark.fault("5", "a secret in a configuration error", promise="one in an address is refused, and not repeated")
def test_an_address_with_credentials_is_refused(tmp_path: Path) -> None:
    target = "scrape_configs: [{job_name: a, static_configs: [{targets: ['anna:decoy@127.0.0.1:8000']}]}]\n"
    (tmp_path / "config.yaml").write_text(target)
    result = cli(tmp_path, "check-config", "config.yaml")

    assert result.returncode == 2
    assert "state basic_auth" in result.stderr
    assert "decoy" not in result.stdout + result.stderr
