"""A mistake in the configuration gives one clear line each, exit code 2, and nothing is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.daemon_process import cli

FIVE_MISTAKES = """\
global:
  scrape_interval: 15
scrape_configs:
  - job_name: vllm
    engine: vlm
    static_configs:
      - targets: [localhost:8000]
    bearer: token
  - job_name: vllm
    static_configs:
      - targets: ["http://localhost:8080/metrics"]
"""


def test_five_mistakes_are_five_lines_each_with_place_and_remedy(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(FIVE_MISTAKES)
    for command in (("check-config", "config.yaml"), ("run", "--config.file", "config.yaml")):
        result = cli(tmp_path, *command)

        assert result.returncode == 2
        assert result.stdout == ""
        assert result.stderr.splitlines() == [
            (
                "config.yaml:2 global.scrape_interval: not usable; "
                "write a duration with its unit, such as 15s, 5m or 1h30m"
            ),
            "config.yaml:5 scrape_configs[0].engine: unknown engine 'vlm'; did you mean 'vllm'?",
            (
                "config.yaml:8 scrape_configs[0].bearer: unknown key 'bearer'; known keys: job_name, engine, "
                "scrape_interval, scrape_timeout, metrics_path, scheme, static_configs, file_sd_configs, "
                "http_sd_configs, dns_sd_configs, basic_auth, authorization, tls_config, credentials_to_discovered, "
                "body_size_limit, sample_limit, label_limit, label_name_length_limit, "
                "label_value_length_limit, target_limit, frozen_after, name_filter, exclusive, forward_pass_endpoint, "
                "forward_pass_ranks"
            ),
            (
                "config.yaml:9 scrape_configs[1].job_name: 'vllm' is also the name of scrape_configs[0]; "
                "give each its own name"
            ),
            (
                "config.yaml:11 scrape_configs[1].static_configs[0].targets[0]: not usable; write "
                "'http://localhost:8080/metrics' as host:port; the path goes into metrics_path"
            ),
        ]
        assert not (tmp_path / "var").exists()


def test_a_good_configuration_is_said_to_be_good(tmp_path: Path) -> None:
    good = "scrape_configs:\n  - job_name: vllm\n    static_configs: [{targets: [localhost:8000]}]\n"
    (tmp_path / "config.yaml").write_text(good)
    result = cli(tmp_path, "check-config", "config.yaml")

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "config.yaml: ok (1 scrape jobs, 0 deployments)\n"


@pytest.mark.fault("5", "a secret in a configuration error", promise="a problem names the place and never the value")
def test_a_secret_never_shows_in_a_problem(tmp_path: Path) -> None:
    text = """\
scrape_configs:
  - job_name: vllm
    static_configs: [{targets: [localhost:8000]}]
    basic_auth: {username: a, password: canary-1, password_file: /x}
  - job_name: b
    static_configs: [{targets: [localhost:8001]}]
    authorization: {credentials: [canary-2]}
storage: {url: "postgresql://u:canary-3@h/d", url_file: /y}
"""
    (tmp_path / "config.yaml").write_text(text)
    result = cli(tmp_path, "check-config", "config.yaml")

    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 3
    assert "canary" not in result.stdout + result.stderr


def test_a_file_that_is_not_there_or_no_yaml_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("a: [1,\nb: 2\n")
    absent, broken = cli(tmp_path, "check-config", "absent.yaml"), cli(tmp_path, "check-config", "broken.yaml")

    assert absent.stderr == "absent.yaml: cannot be read: No such file or directory; name a readable file\n"
    assert broken.stderr.startswith("broken.yaml:3: not valid YAML:")
    assert absent.returncode == broken.returncode == 2


def test_a_taken_port_is_one_line_and_exit_code_one(tmp_path: Path) -> None:
    text = "web: {listen_address: '203.0.113.1:9877'}\nstorage: {url: 'sqlite:///x.db'}\ngpu: {nvml: 'off'}\n"
    (tmp_path / "config.yaml").write_text(text)
    result = cli(tmp_path, "run", "--config.file", "config.yaml")

    assert result.returncode == 1
    assert "cannot listen on 203.0.113.1:9877" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_an_unknown_command_or_option_is_a_usage_error(tmp_path: Path) -> None:
    assert cli(tmp_path, "rnu").returncode == 2
    assert cli(tmp_path, "run", "--nope").returncode == 2
    assert "Traceback" not in cli(tmp_path, "rnu").stderr
