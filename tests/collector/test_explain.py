"""`explain`, on a real database: the numbers of the stored report with their arithmetic, and whose they are."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from analyzer.report import as_plain
from analyzer.samples import Identity, ReplicaSample
from collector.cli import commands
from collector.store import Store
from tests.fakes.hand_clock import HandClock
from tests.fakes.histories import DAY_S, KEY, decode_heavy, replica
from tests.fakes.modelled import modelled, modelled_report

Body = dict[str, Any]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `explain` where the database holds a report and, at the end of its live span, a sample."""
    monkeypatch.chdir(tmp_path)

    def run(body: Body | None, *arguments: str, samples: tuple[ReplicaSample, ...] = ()) -> Result:
        with closing(Store.open("var/breakeven.db", HandClock())) as store:
            if samples:
                epoch = store.writer.register(KEY, Identity("vllm"), None, "vllm", 0.0)
                store.writer.append([replace(one, epoch=epoch) for one in samples])
            if body is not None:
                store.writer.append_report(DAY_S, body)
        return CliRunner().invoke(commands, ["explain", *arguments], env={"COLUMNS": "200"})

    return run


def plain(*numbers: int) -> Body:
    body: Body = json.loads(json.dumps(as_plain(modelled_report(*map(modelled, numbers)))))
    return body


def section(text: str, number: int) -> str:
    found = re.search(rf"^{number}\. .*?(?=^{number + 1}\. |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no section {number}"
    return found.group()


def test_the_chain_is_told_link_by_link_with_its_arithmetic(told: Callable[..., Result]) -> None:
    """A day at 100 steps a second and batch 8: 69,120,000 / 8,640,000 = 8; busy 0.9 * 86,400 s = 77,760 s."""
    body = plain(0)
    result = told(body)
    text = result.stdout

    assert result.exit_code == 0, result.output
    assert "steps_total" in section(text, 1)
    assert "69,120,000 / 8,640,000 = 8.00" in section(text, 2)
    assert "90.0% of 86,400 s = 77,760 s, measured: gpu duty cycle" in section(text, 3)
    assert "prompt tokens a finished request 34,560,000 / 172,800 = 200" in section(text, 4)
    assert "no per-phase timer" in section(text, 8)
    assert "99.0%" in section(text, 9)


def test_where_no_requests_are_counted_no_context_is_told(told: Callable[..., Result]) -> None:
    body = plain(0)
    body["replicas"][0]["chain"]["fit"]["lengths"] |= {"told": False, "context": 0.0}
    text = section(told(body).stdout, 4)

    assert "no request's lengths are told" in text
    assert "KV tokens a step" not in text


def test_every_coefficient_stands_beside_its_prior_and_says_whether_live_data_decide_it(
    told: Callable[..., Result],
) -> None:
    body = plain(0)
    text = section(told(body).stdout, 5)
    known = body["replicas"][0]["step_time"]["coefficients"]

    assert len(known) == 4
    assert len(re.findall(r"live data decide it", text)) == sum(one["identified"] for one in known.values())
    assert len(re.findall(r"not decided: ", text)) == sum(not one["identified"] for one in known.values())
    for name in known:
        assert re.search(rf"^ *{name} +\S+ \w+ \(.*\) +\S+ \w+ \(", text, re.MULTILINE)


def test_the_seconds_of_the_components_add_up_to_the_wall_time(told: Callable[..., Result]) -> None:
    """The live span's column: 86,400 s."""
    rows = re.findall(r"^ *\w+ +[\d.]+% = ([\d,.]+) s", section(told(plain(0)).stdout, 6), re.MULTILINE)

    assert len(rows) == 6
    assert sum(float(one.replace(",", "")) for one in rows) == pytest.approx(DAY_S, rel=1e-3)


def test_raw_counters_stand_at_the_ends_of_the_span_where_samples_are_kept(told: Callable[..., Result]) -> None:
    """The sample at its start is there, the one at its end is gone."""
    result = told(plain(0), samples=(ReplicaSample(KEY, 1, 0.0, 15.0, steps_total=12_345.0),))
    (line,) = re.findall(r"^ *steps_total .*$", section(result.stdout, 1), re.MULTILINE)

    assert line.split() == ["steps_total", "12,345", "-", "8,640,000", "8,640,000"]


def test_json_holds_the_whole_replica_of_the_report(told: Callable[..., Result]) -> None:
    body = plain(0)
    result = told(body, "--json")

    assert json.loads(result.stdout) == {
        "made_at_s": body["made_at_s"],
        "simulated": False,
        "replica": body["replicas"][0],
        "first_sample": None,
        "last_sample": None,
    }


def test_of_several_replicas_one_is_named_by_a_part_of_its_address(told: Callable[..., Result]) -> None:
    body = plain(0, 1)
    unnamed, named, wrong = told(body), told(None, "8001"), told(None, "8009")

    assert (unnamed.exit_code, named.exit_code, wrong.exit_code) == (2, 0, 2)
    assert "there are several replicas" in unnamed.output
    for number in (8000, 8001):
        assert f"http://127.0.0.1:{number}/metrics meta-llama" in unnamed.output
    assert named.stdout.startswith("http://127.0.0.1:8001/metrics")
    assert "no replica's name holds '8009'" in wrong.output


def test_a_replica_without_a_model_says_why_in_every_place(told: Callable[..., Result]) -> None:
    body = json.loads(json.dumps(as_plain(modelled_report(replica(decode_heavy())))))
    text = told(body).stdout

    assert "no step model: no step-time model is fitted to this replica yet" in section(text, 5)
    assert "no histogram of tokens per step" in section(text, 9)


def test_a_replica_that_was_never_polled_twice_is_explained_too(told: Callable[..., Result]) -> None:
    body = json.loads(json.dumps(as_plain(modelled_report(replica(None)))))
    result = told(body)

    assert result.exit_code == 0, result.output
    assert "no usable pair of samples in this span yet" in section(result.stdout, 1)


def test_a_report_of_an_older_release_has_no_chain_and_says_so(told: Callable[..., Result]) -> None:
    body = plain(0)
    for name in ("chain", "step_time", "step_sizes", "history_step_sizes"):
        del body["replicas"][0][name]

    assert "made by an older release" in told(body).stdout


def test_no_report_and_no_replica_are_failures_that_say_what_is_missing(told: Callable[..., Result]) -> None:
    none = told(None)
    empty = told({"made_at_s": 0.0, "simulated": False, "replicas": []})

    assert "holds no report yet" in str(none.exception)
    assert (empty.exit_code, "no inference server has been seen" in empty.output) == (2, True)
