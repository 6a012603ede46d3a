"""`what-if` from flags alone and of a stored history: what changes, what does not, and mistakes in one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer.assumptions import Costs, Deployment, QualityResult
from collector.cli import commands
from collector.errors import StoreError
from collector.jobs.what_if import Changes
from collector.simulator.traffic import Lengths
from collector.simulator.workloads import Workload
from collector.store import Store
from tests.fakes.hand_clock import HandClock
from tests.fakes.simulated_days import HOUR_S, Days, server_of

BEGIN_S = 1_795_392_000.0
FLAGS = (
    *("--model", "meta-llama/Llama-3.1-8B-Instruct", "--gpu", "H100 SXM 80GB", "--rate", "24"),
    *("--prompt", "300", "--output", "500", "--replicas", "4", "--scheme", "w4a16"),
)


def asked(*arguments: str) -> Result:
    return CliRunner().invoke(commands, ["what-if", *arguments])


def test_flags_alone_give_a_verdict_and_say_that_nothing_was_measured() -> None:
    result = asked(*FLAGS, "--price", "2.5", "--investment", "5000")

    assert result.exit_code == 0, result.output
    assert "no server of yours was measured" in result.output
    assert "As it would be" in result.output
    assert "w4a16" in result.output
    assert "requests/s" in result.output


def test_json_has_the_changes_and_both_sides() -> None:
    """$1 an hour for four GPUs are $2,920 a month."""
    plain = json.loads(asked(*FLAGS, "--price", "1", "--minimum-replicas", "4", "--json").stdout)

    assert plain["changes"]["usd_per_gpu_hour"] == 1
    assert plain["what_if"]["usd_per_hour"] == 4
    assert plain["what_if"]["simulated"] is True
    assert {one["scheme"] for one in plain["what_if"]["schemes"]} == {"w4a16"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "meta-llama/Llama-3.1-8B-Instruct"), "without a history these are needed too: --rate"),
        (("--scheme", "fp9"), "no scheme 'fp9'"),
        (("--gpu", "H900"), "no facts about the GPU 'H900'"),
        ((*FLAGS[:1], "nobody/none", *FLAGS[2:]), "no facts about the model 'nobody/none'"),
        ((*FLAGS[:1], "deepseek-ai/DeepSeek-V3", *FLAGS[2:]), "these flags make no server"),
        ((*FLAGS, "--rate", "1e9"), "times what it can serve"),
        ((*FLAGS, "--prompt", "1000000"), "of 1 x H100"),
        ((*FLAGS, "--replicas", "100000"), "'--replicas'"),
        (("--load", "0"), "'--load'"),
        (("--load", "nan"), "nan is not a finite number"),
        (("--price", "inf"), "inf is not a finite number"),
        (("--growth", "7"), "'--growth'"),
    ],
)
def test_a_mistake_is_named_in_one_line(arguments: tuple[str, ...], message: str) -> None:
    result = asked(*arguments)

    assert result.exit_code == 2
    assert message in result.output


def test_changes_are_the_operators_words_and_leave_the_rest() -> None:
    told = Deployment("chat", costs=Costs(requantization_hours=4, model_releases_per_year=2), schemes=("w4a16",))
    changed = Changes(investment_usd=5000, first_token_s=1.5, quality_passes=True, load_ratio=2).of(told, BEGIN_S)

    assert changed.costs.investment_usd == 5000
    assert changed.costs.model_releases_per_year == 2
    assert changed.objectives is not None
    assert changed.objectives.first_token is not None
    assert (changed.objectives.first_token.seconds, changed.objectives.token_gap) == (1.5, None)
    assert changed.quality["w4a16"].result is QualityResult.PASS
    assert changed.load_ratio == 2
    assert changed.imagined is False


def test_another_gpu_without_its_price_has_none() -> None:
    """The price of today's GPU is not the other's."""
    told = Changes(usd_per_gpu_hour=2).of(Deployment("chat"), BEGIN_S)

    assert told.price is not None
    assert Changes(gpu="H200 SXM").of(told, BEGIN_S).price is None


CONFIG = """
storage: {{url: "{url}"}}
analysis: {{min_history: 1h}}
deployments:
  - name: chat
    match: {{job: days}}
    gpu: H100 SXM 80GB
    gpus_per_replica: 1
    weight_bits: 16
    schemes: [w4a16]
    price: {{usd_per_gpu_hour: 2.5, source: contract, date: 2026-11-01}}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours of three replicas, and the report of then."""
    folder = tmp_path_factory.mktemp("history")
    file = folder / "config.yaml"
    url = f"sqlite:///{folder / 'breakeven.db'}"
    file.write_text(CONFIG.format(url=url))
    lengths = Lengths(mean=300, sigma=0.5, minimum=30, maximum=1200)
    simulated = server_of(Workload("chat", 0.4, lengths, lengths, seed=1, seats=64), BEGIN_S)
    store = Store.open(url, HandClock(BEGIN_S))
    days = Days(store, simulated, 3, BEGIN_S, CONFIG.format(url=url))
    days.run_to(2 * HOUR_S)
    days.report()
    store.close()
    return file


def history(config: Path, *arguments: str) -> dict[str, object]:
    result = asked("--config.file", str(config), "--json", *arguments)
    assert result.exit_code == 0, result.output
    plain: dict[str, object] = json.loads(result.stdout)
    return plain


def test_nothing_changed_is_the_stored_report_over_again(config: Path) -> None:
    plain = history(config)

    assert plain["as_it_is"] == plain["what_if"]


def test_twice_the_load_needs_about_twice_the_replicas_of_the_same_capacity(config: Path) -> None:
    plain = history(config, "--load", "2")
    before, after = plain["as_it_is"]["capacity"], plain["what_if"]["capacity"]  # type: ignore[index]

    assert after["mean_per_s"]["value"] == pytest.approx(2 * before["mean_per_s"]["value"])
    # Of twice as many requests less is chance.
    assert after["peak_per_s"]["value"] == pytest.approx(2 * before["peak_per_s"]["value"], rel=0.02)
    assert after["capacity_per_s"]["value"] == pytest.approx(before["capacity_per_s"]["value"])
    assert (
        after["replica"]["today"]["token_gap_mean_s"]["value"] > before["replica"]["today"]["token_gap_mean_s"]["value"]
    )


def test_a_faster_gpu_carries_more_and_is_no_longer_fitted(config: Path) -> None:
    plain = history(config, "--gpu", "H200 SXM", "--price", "3.5")
    before, after = plain["as_it_is"], plain["what_if"]

    assert after["gpu"] == "H200 SXM"  # type: ignore[index]
    assert after["capacity"]["capacity_per_s"]["value"] > before["capacity"]["capacity_per_s"]["value"]  # type: ignore[index]
    assert after["capacity"]["capacity_per_s"]["evidence"] == "modelled"  # type: ignore[index]


def test_a_deployment_that_the_configuration_lacks_is_a_clear_failure(config: Path, tmp_path: Path) -> None:
    """The report is of a daemon that had another configuration."""
    other = tmp_path / "other.yaml"
    other.write_text(config.read_text().replace("name: chat", "name: talk"))
    result = asked("--config.file", str(other), "--deployment", "chat")

    assert isinstance(result.exception, StoreError)
    assert "the configuration has none of that name" in str(result.exception)


def test_a_deployment_that_is_not_there_is_named_with_those_that_are(config: Path) -> None:
    result = asked("--config.file", str(config), "--deployment", "chta")

    assert result.exit_code == 2
    assert "no deployment 'chta': name one with --deployment: chat" in result.output


def test_nothing_is_stored(config: Path) -> None:
    url = f"sqlite:///{config.parent / 'breakeven.db'}"
    store = Store.open_to_read(url)
    before = store.reader.report_times(), store.reader.verdicts()
    history(config, "--price", "100")
    after = store.reader.report_times(), store.reader.verdicts()
    store.close()

    assert before == after
