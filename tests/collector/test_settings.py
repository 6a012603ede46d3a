"""The configuration: durations and sizes as Prometheus writes them, every problem with its line, nothing hangs."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from analyzer.objectives import Objective, Objectives
from collector.errors import ConfigError
from collector.jobs.stated import deployment_of
from collector.settings.load import parse_settings
from collector.settings.model import Settings
from collector.settings.units import date_s, duration_s, size_bytes

JOB = "scrape_configs: [{job_name: a, static_configs: [{targets: ['h:1']}]}]\n"


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_settings(text, "c.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_durations_are_those_of_prometheus() -> None:
    assert duration_s("15s") == 15
    assert duration_s("1h30m") == 5400
    assert duration_s("250ms") == 0.25
    assert duration_s("1d") == 86_400


@pytest.mark.parametrize("text", ["", "15", "s", "1.5h", "30m1h", "-5s", 15, None, True])
def test_other_durations_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="duration with its unit"):
        duration_s(text)


def test_sizes_count_in_powers_of_1024_as_prometheus_does() -> None:
    assert size_bytes("10MB") == 10 * 1024 * 1024
    assert size_bytes("1KiB") == 1024
    assert size_bytes(512) == 512


def test_a_date_is_the_start_of_its_day_in_utc() -> None:
    """20,780 days after 1970 began: 2026-11-23."""
    assert date_s("2026-11-23") == 20_780 * 86_400


def test_off_may_be_written_as_yaml_reads_it() -> None:
    assert parse_settings("gpu: {nvml: off}\n", "c.yaml").gpu.nvml == "off"


def test_every_bad_target_of_a_list_is_named() -> None:
    text = "scrape_configs: [{job_name: a, static_configs: [{targets: [nope, 'h:1', 7, 'x/y:1']}]}]\n"

    assert [problem.split(": ")[0].rpartition(".")[2] for problem in problems(text)] == [
        "targets[0]",
        "targets[2]",
        "targets[3]",
    ]


def test_a_price_without_bounds_is_no_price() -> None:
    text = "deployments: [{name: a, match: {job: a}, price: {usd_per_gpu_hour: .inf, source: x, date: 2026-11-01}}]\n"

    assert len(problems(text)) == 1


def test_objectives_are_percentiles_of_seconds() -> None:
    """P99 within half a second is 0.99 of all; a percentile of 0.95 is a mistake for 95."""
    text = "deployments: [{name: a, match: {job: a}, objectives: {ttft: {seconds: 0.5, percentile: 99}}, seats: 64}]\n"
    (config,) = parse_settings(text, "c.yaml").deployments
    stated = deployment_of(config)

    assert stated.objectives == Objectives(Objective(0.5, 0.99), None)
    assert stated.seats == 64
    assert len(problems(text.replace("percentile: 99", "percentile: 0.95"))) == 1
    assert len(problems(text.replace("seconds: 0.5", "seconds: 0"))) == 1


def test_nesting_without_end_is_one_line() -> None:
    assert problems("[" * 3000) == ["c.yaml:1: nested too deeply; write a plain mapping of keys"]


def test_an_empty_file_is_the_defaults() -> None:
    assert parse_settings("", "c.yaml") == Settings()


def test_a_job_of_prometheus_yml_can_be_pasted() -> None:
    pasted = """
global: {scrape_interval: 15s, scrape_timeout: 10s, evaluation_interval: 1m}
scrape_configs:
  - job_name: vllm
    scrape_interval: 5s
    scrape_timeout: 5s
    metrics_path: /metrics
    scheme: https
    tls_config: {insecure_skip_verify: true}
    authorization: {type: Bearer, credentials_file: /etc/token}
    static_configs:
      - targets: ['vllm-0:8000', 'vllm-1:8000']
        labels: {cluster: a}
    sample_limit: 5000
"""
    job = parse_settings(pasted, "c.yaml").scrape_configs[0]

    assert job.static_configs[0].targets == ("vllm-0:8000", "vllm-1:8000")
    assert job.scrape_interval == 5


def test_a_step_log_belongs_to_one_server() -> None:
    one = "scrape_configs: [{job_name: a, static_configs: [{targets: ['h:1'], labels: {step_log: v.log}}]}]"

    assert parse_settings(one, "c.yaml").scrape_configs[0].static_configs[0].labels == {"step_log": "v.log"}
    (problem,) = problems(one.replace("'h:1'", "'h:1', 'h:2'"))
    assert "static_configs[0]" in problem
    assert "step_log names the log of one server; give each target a group of its own" in problem


def test_keys_that_belong_to_prometheus_say_what_to_do() -> None:
    text = JOB.replace("job_name: a", "job_name: a, relabel_configs: []") + "rule_files: []\n"

    assert problems(text) == [
        (
            "c.yaml:1 scrape_configs[0].relabel_configs: unknown key 'relabel_configs'; "
            "Breakeven does not relabel; remove the key"
        ),
        "c.yaml:2 rule_files: unknown key 'rule_files'; rules belong to Prometheus; remove the key",
    ]


def test_a_key_that_stands_twice_is_a_problem() -> None:
    assert problems(JOB + "web: {}\nweb: {}\n") == ["c.yaml:3 web: the key 'web' stands twice; keep one of them"]


def test_a_timeout_longer_than_the_interval_is_a_problem() -> None:
    text = "global: {scrape_interval: 5s, scrape_timeout: 6s}\n"

    assert problems(text) == [
        "c.yaml:1 global.scrape_timeout: longer than scrape_interval; make it at most the interval"
    ]


def test_one_mistake_does_not_hide_another_in_the_same_item_or_list() -> None:
    text = """
scrape_configs:
  - {job_name: a, static_configs: [{targets: [nope]}, {targets: ['h:1']}], scrape_timeout: 60s}
  - {job_name: b, static_configs: [{targets: ['h:1']}], scrape_timeout: 60s}
  - {job_name: b, static_configs: [{targets: []}]}
"""

    assert [problem.split(": ")[0] for problem in problems(text)] == [
        "c.yaml:3 scrape_configs[0].static_configs[0].targets[0]",
        "c.yaml:3 scrape_configs[0].scrape_timeout",
        "c.yaml:4 scrape_configs[1].scrape_timeout",
        "c.yaml:5 scrape_configs[2].job_name",
        "c.yaml:5 scrape_configs[2].static_configs[0].targets",
    ]


keys = st.sampled_from(
    ["global", "scrape_configs", "deployments", "storage", "web", "job_name", "static_configs", "targets", "match", "x"]
)
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.sampled_from(["5s", "h:1", "auto"]))
documents = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)


@given(documents)
def test_any_document_is_settings_or_problems_with_a_place(document: Any) -> None:
    try:
        parse_settings(yaml.safe_dump(document), "c.yaml")
    except ConfigError as error:
        assert error.problems
        assert all(problem.place.startswith("c.yaml:") and problem.remedy for problem in error.problems)


@given(st.text(max_size=60))
def test_any_text_is_settings_or_problems(text: str) -> None:
    try:
        parse_settings(text, "c.yaml")
    except ConfigError as error:
        assert error.problems


def deployment(text: str) -> str:
    return f"deployments: [{{name: a, match: {{job: a}}, {text}}}]\n"


@pytest.mark.parametrize(
    ("text", "place", "remedy"),
    [
        ("costs: {model_releases_per_year: 4}", "costs", "state requantization_hours as well"),
        ("costs: {evaluation_hours: 4}", "costs", "state evaluation_usd_per_hour or engineering_usd_per_hour"),
        ("costs: {engineering_hours: -1}", "costs.engineering_hours", "greater than or equal to 0"),
        ("growth_per_month: 3", "growth_per_month", "less than or equal to 1"),
        ("growth_per_month: -1", "growth_per_month", "greater than -1"),
        ("tensor_parallel_choices: [0]", "tensor_parallel_choices[0]", "greater than or equal to 1"),
        ("other_gpus: [{gpu: L40S}]", "other_gpus[0].price", "add it"),
        ("context: {compute_share_of_cost: 40}", "context.compute_share_of_cost", "less than or equal to 1"),
        (
            "context: {compute_share_of_cost: 0.1, compute_is_small_part_of_cost: true}",
            "context",
            "keep one",
        ),
    ],
)
def test_what_is_stated_about_money_is_checked_at_the_start(text: str, place: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_settings(deployment(text), "c.yaml")

    (problem,) = raised.value.problems
    assert f"deployments[0].{place}" in problem.place
    assert remedy in str(problem)


def test_what_is_stated_about_money_reaches_the_analysis() -> None:
    text = """costs: {engineering_hours: 10, engineering_usd_per_hour: 100, evaluation_hours: 5,
        evaluation_usd_per_hour: 60, requantization_hours: 8, model_releases_per_year: 3},
        growth_per_month: 0.05, tensor_parallel_choices: [1, 2], minimum_year_1_net_usd: 500,
        other_gpus: [{gpu: L40S, price: {usd_per_gpu_hour: 1.1, source: offer, date: 2026-11-01}}]"""
    (section,) = parse_settings(deployment(text), "c.yaml").deployments
    stated = deployment_of(section)

    assert stated.costs.investment_usd == 10 * 100 + 5 * 60
    assert stated.costs.yearly_usd == 3 * 8 * 100
    assert (stated.growth_per_month, stated.tensor_parallel_choices) == (0.05, (1, 2))
    assert stated.minimum_year_1_net_usd == 500
    assert [(one.gpu, one.price.usd_per_gpu_hour) for one in stated.other_gpus] == [("L40S", 1.1)]
