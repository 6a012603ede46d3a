"""The dashboard's queries in a real PromQL engine: they run on two daemons with several replicas, and weigh rightly."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from analyzer.phases import COMPONENTS
from analyzer.verdict import Verdict
from collector.export.catalogue import CATALOGUE, REPLICA, Metric
from tests.fakes.panel_queries import load, replaced, targets
from tests.fakes.promql import PROMETHEUS
from tests.fakes.tools import require

BOARDS = {name: load(name) for name in ("overview", "drilldown")}
REPLICAS = (("chat", "t1", "m1", "0"), ("chat", "t2", "m1", "0"), ("chat", "t2", "m1", "1"), ("code", "t3", "m2", "0"))
VALUES: Mapping[str, tuple[str, ...]] = {
    "accounting": ("marginal", "exclusive"),
    "bound": ("p10", "p50", "p90"),
    "coefficient": ("step_s", "kv_token_s"),
    "component": COMPONENTS,
    "deployment": ("chat", "code"),
    "gpu_uuid": ("GPU-1", "GPU-2"),
    "latency": ("first_token", "token_gap"),
    "phase": ("prefill", "decode"),
    "rule": ("adopted", "amdahl", "article"),
    "scheme": ("fp8-w8a8", "w4a16"),
    "facts": ("gpus",),
    "source": ("operator", "published"),
    "target": ("t1", "t2", "t3"),
    "statistic": ("mean", "p95"),
    "tokens": ("8", "+Inf"),
    "verdict": tuple(Verdict),
    "basis": ("allocation",),
    "simulated": ("false",),
}
"""What a label may be; any other label has one value."""


def _query(title: str, ref_id: str = "A") -> str:
    found = {
        target["expr"]
        for board in BOARDS.values()
        for panel, target in targets(board)
        if (panel["title"], target["refId"]) == (title, ref_id)
    }
    (one,) = found
    return replaced(one, "10m")


def _evaluate(folder: Path, series: Mapping[str, str], expected: list[tuple[str, Mapping[str, float]]]) -> str:
    """What promtool complains about: (query, labels -> value) at minute 10."""
    tests = [
        {
            "expr": query,
            "eval_time": "10m",
            "exp_samples": [{"labels": labels, "value": value} for labels, value in samples.items()],
        }
        for query, samples in expected
    ]
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    file = folder / "queries.yml"
    file.write_text(yaml.safe_dump({"tests": [{"interval": "1m", "input_series": inputs, "promql_expr_test": tests}]}))
    promtool = require("promtool", "prometheus")
    result = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True)
    return "" if result.returncode == 0 else result.stdout + result.stderr


def _name(metric: str, labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{"exported_" + key if key in PROMETHEUS else key}="{value}"' for key, value in labels.items())
    return f"{metric}{{{inner}}}"


def _every_series() -> Iterator[tuple[str, str]]:
    """Every metric of the catalogue as two daemons show it, each with four replicas of two deployments."""
    for metric, instance in product(CATALOGUE, ("a:9877", "b:9877")):
        for labels in _label_sets(metric):
            standing = int(labels.get("verdict", "no") == "no")
            values = "0+6x11" if metric.kind == "counter" else f"{standing}x11"
            own = _name(metric.name, labels).removesuffix("}")
            comma = "," if labels else ""
            yield f'{own}{comma}job="breakeven",instance="{instance}"}}', values


def _label_sets(metric: Metric) -> Iterator[dict[str, str]]:
    is_replica = metric.labels[: len(REPLICA)] == REPLICA
    free = [label for label in metric.labels if not (is_replica and label in REPLICA)]
    for replica in REPLICAS if is_replica else ((),):
        for values in product(*(VALUES.get(label, (f"some_{label}",)) for label in free)):
            yield {**dict(zip(REPLICA, replica, strict=False)), **dict(zip(free, values, strict=True))}


def test_every_query_runs_and_has_a_result_for_two_daemons_with_several_replicas(tmp_path: Path) -> None:
    """Else a join would be one of many to many as soon as there is more than one of anything."""
    asked = {replaced(one["expr"], "10m") for board in BOARDS.values() for _, one in targets(board)}
    asked |= {replaced(one["expr"]) for board in BOARDS.values() for one in board["annotations"]["list"]}
    expected = [(f"clamp_max(count({query}), 1)", {"{}": 1.0}) for query in sorted(asked)]

    assert _evaluate(tmp_path, dict(_every_series()), expected) == ""


def _replica(metric: str, target: str, value: float, **labels: str) -> dict[str, str]:
    own = {"job": "breakeven", "instance": "a", "deployment": "chat", "target": target, "model_name": "m", "rank": "0"}
    text = ",".join(f'{key}="{one}"' for key, one in {**own, **labels}.items())
    return {f"{metric}{{{text}}}": f"{value}x11"}


def test_a_replica_weighs_as_much_as_it_is_busy(tmp_path: Path) -> None:
    """Three quarters busy at 0.25 and one quarter busy at 0.75: (0.75 * 0.25 + 0.25 * 0.75) / (0.75 + 0.25) = 0.375.

    t3 is idle and t4 has no account of its time: neither has a weight.
    """
    series: dict[str, str] = {}
    busy = {"t1": 0.75, "t2": 0.25, "t3": 0.0, "t4": 1.0}
    for target, value in busy.items():
        for bound in ("p10", "p50", "p90"):
            series |= _replica("breakeven_busy_ratio", target, value, bound=bound, evidence="measured")
    for target, value in {"t1": 0.25, "t2": 0.75, "t3": 1.0}.items():
        for phase, share in (("prefill", value), ("decode", 1 - value)):
            for bound in ("p10", "p50", "p90"):
                labels = {"phase": phase, "accounting": "marginal", "bound": bound, "evidence": "modelled"}
                series |= _replica("breakeven_phase_share_ratio", target, share, **labels)
        series |= _replica("breakeven_memory_bound_ratio", target, value, bound="p90", evidence="fitted")

    expected = [
        (_query("Phase mix (marginal)", "A"), {"{}": 0.625}),
        (_query("Phase mix (marginal)", "B"), {"{}": 0.375}),
        (_query("Memory-bound share", "C"), {"{}": 0.375}),
        (_query("Memory-bound share", "A"), {}),
    ]
    assert _evaluate(tmp_path, series, expected) == ""


def test_step_sizes_are_weighed_by_busy_time_and_sum_to_one(tmp_path: Path) -> None:
    """As above: 0.75 * 0.25 + 0.25 * 0.75 = 0.375 of the time in small steps; t4 has no sizes and no weight."""
    series: dict[str, str] = {}
    for target, value in {"t1": 0.75, "t2": 0.25, "t4": 1.0}.items():
        series |= _replica("breakeven_busy_ratio", target, value, bound="p50", evidence="measured")
    for target, value in {"t1": 0.25, "t2": 0.75}.items():
        for tokens, share in (("8", value), ("+Inf", 1 - value)):
            series |= _replica("breakeven_step_size_time_ratio", target, share, tokens=tokens, evidence="fitted")

    expected = [(_query("Busy time by size of step"), {'{tokens="8"}': 0.375, '{tokens="+Inf"}': 0.625})]
    assert _evaluate(tmp_path, series, expected) == ""


def _scheme(metric: str, scheme: str, value: float, **labels: str) -> dict[str, str]:
    own = {"job": "breakeven", "instance": "a", "deployment": "chat", "scheme": scheme}
    text = ",".join(f'{key}="{one}"' for key, one in {**own, **labels}.items())
    return {f"{metric}{{{text}}}": f"{value}x11"}


def test_the_verdict_table_has_one_row_per_scheme_and_a_cell_for_what_is_missing(tmp_path: Path) -> None:
    """fp8-w8a8 has a saving, w4a16 none; your own quality loss goes before the published one."""
    info = 'breakeven_deployment_info{job="breakeven",instance="a",deployment="chat",model_name="m",simulated="true"}'
    series = {info: "1x11"}
    for scheme, standing in (("fp8-w8a8", "worth_it"), ("w4a16", "evaluate")):
        for verdict in ("worth_it", "evaluate"):
            series |= _scheme("breakeven_verdict", scheme, int(verdict == standing), verdict=verdict)
        series |= _scheme("breakeven_scheme_quality_loss_ratio", scheme, 0.5, source="published")
    series |= _scheme("breakeven_scheme_quality_loss_ratio", "fp8-w8a8", 0.25, source="operator")
    series |= _scheme("breakeven_scheme_saving_usd_per_month", "fp8-w8a8", 2000, bound="p50", evidence="assumed")

    def row(scheme: str, **labels: str) -> str:
        pairs = {"instance": "a", "deployment": "chat", "scheme": scheme, **labels}
        return "{" + ",".join(f'{key}="{value}"' for key, value in pairs.items()) + "}"

    title = "Will quantization pay?"
    saving = _query(title, "D")
    expected: list[tuple[str, Mapping[str, Any]]] = [
        (
            _query(title, "A"),
            {
                row("fp8-w8a8", verdict="worth_it", simulated="true"): 1,
                row("w4a16", verdict="evaluate", simulated="true"): 1,
            },
        ),
        # NaN differs from itself, so the comparison keeps the rows that have a value.
        (f"({saving}) == ({saving})", {row("fp8-w8a8"): 2000}),
        (f"count({saving})", {"{}": 2}),
        (
            _query("What the verdict hangs on", "F"),
            {row("fp8-w8a8", source="operator"): 0.25, row("w4a16", source="published"): 0.5},
        ),
    ]
    assert _evaluate(tmp_path, series, expected) == ""


def test_the_target_table_counts_failed_polls_of_any_reason(tmp_path: Path) -> None:
    """Of five polls a minute, one times out: a fifth. A target that never failed has no failure series: 0."""
    series = {}
    for target in ("flaky", "good"):
        labels = f'job="breakeven",instance="a",exported_job="vllm",target="{target}"'
        series[f"breakeven_target_polls_total{{{labels}}}"] = "0+5x11"
        series[f'breakeven_target_up{{{labels},engine="vllm",simulated="false",reason=""}}'] = "1x11"
    failures = 'job="breakeven",instance="a",exported_job="vllm",target="flaky"'
    series[f'breakeven_target_failures_total{{{failures},reason="timeout"}}'] = "0+0.5x11"
    series[f'breakeven_target_failures_total{{{failures},reason="dns"}}'] = "0+0.75x11"

    def row(target: str) -> str:
        return f'{{exported_job="vllm",instance="a",target="{target}"}}'

    # (0.5 + 0.75) / 5
    assert _evaluate(tmp_path, series, [(_query("Targets", "D"), {row("flaky"): 0.25, row("good"): 0})]) == ""
