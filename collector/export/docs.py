"""The catalogue -> METRICS.md; `python -m collector.export.docs FOLDER` writes it and the other documents there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from analyzer.article_answers import CONDITIONS, TRAITS
from analyzer.evidence import Evidence
from analyzer.facts.compiled import COMPILED_S
from analyzer.money import Mode
from analyzer.phases import COMPONENTS
from analyzer.verdict import Verdict
from collector.errors import Kind
from collector.export.alerts_page import alerts_markdown
from collector.export.catalogue import CATALOGUE, REPLICA, Metric
from collector.export.money_page import money_markdown
from collector.export.render import REPORT_STALE_INTERVALS
from collector.health import Work
from collector.settings.docs import config_markdown

INTRODUCTION = """\
# Metrics

Made from `collector/export/catalogue.py` by `python -m collector.export.docs deploy/`; a test compares the two.

Every series that `/metrics` can show. Units are base units, named at the end of the metric's name; a ratio runs from
0 to 1 unless its help says otherwise. **Absent is not zero**: what is not known now has no series, and a series is gone
at the next scrape once its source is silent. `breakeven_..._info` metrics are always 1, their labels are the message.

Prometheus puts its own `job` and `instance` on every series it scrapes. Where a metric below has a label `job`, the
job that *Breakeven* polls, it becomes `exported_job`. Leave `honor_labels` off: dashboards and alerts rely on it.
"""


def _values(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


LABELS: Mapping[str, str] = {
    "accounting": "how a step with both prefill and decode tokens counts: "
    "`marginal` (prefill is what it cost beyond the decode batch alone) or `exclusive` (all of it is prefill)",
    "answer": "the decision matrix's words",
    "basis": "what the money is spread over: `allocation` counts idle GPU-hours in, `usage` busy ones only",
    "bottleneck": "the article's word for what limits the deployment; empty when not known",
    "bound": "`p10`, `p50` or `p90` of the 80 % interval; equal where the figure was counted",
    "coefficient": "what a step is charged for: `step_s` (each step), `sequence_s` (each decoding sequence), "
    "`kv_token_s` (each KV token read), `prefill_token_s` (each prompt token computed)",
    "component": f"where wall time went: {_values(COMPONENTS)}",
    "condition": f"line of the article's skip checklist: {_values(CONDITIONS)}",
    "deployment": "name of the deployment, from the configuration or, without one, made from what is served",
    "dtype": "type of the weights as the engine names it; empty when not reported",
    "engine": "server software that the page is from; empty before the first good page",
    "engine_version": "version the engine reports; empty when not reported",
    "evidence": f"how the figure was obtained, best first: {_values(Evidence)}",
    "facts": f"kind of published figures: {_values(COMPILED_S)}",
    "gpu": "GPU model; empty when not known",
    "gpu_uuid": "UUID of the GPU",
    "holder": "the daemon that makes the reports, as host:process; empty while none is known",
    "job": "`job_name` of the scrape job that polls the target; Prometheus shows it as `exported_job`",
    "kind": "which tokens bear it: `input`, `output`, `blended` (both) or `generated` (all of it on the output)",
    "latency": "`first_token` or `token_gap`",
    "limit": "what sets the capacity: an objective, the stated share of what can be served at all, or an objective "
    "that even an idle replica misses",
    "mode": f"how the scheme saves money, or that it does not: {_values(Mode)}",
    "file": "what lies on the disk: `database`, where it is SQLite, or `spool`",
    "mechanism": "what names targets: `file`, `http` or `dns`",
    "model_name": "name the engine serves the model under; empty when the page has none",
    "phase": "`prefill` or `decode`",
    "quantization": "what the engine says of its quantization; empty when not reported",
    "rank": "data-parallel rank; `0` where the engine has none",
    "reason": f"why it failed or is absent; empty while it is up. Of targets: {_values(Kind)}",
    "receiver": "name of a receiver, from `notifications` in the configuration",
    "rule": "`amdahl` is ours, `article` the additive rule it is compared with",
    "scenario": f"of the article: {_values(TRAITS)}",
    "scheme": "quantization scheme, such as `fp8-w8a8`",
    "series": "the figure that is wanted and not on the page, or that the GPU does not give",
    "shipped": "`true` where a reference price of the GPU table stands in for the operator's",
    "simulated": "`true` when the figures are invented by the bundled simulator",
    "source": "`operator` or `published`; of a price, what it was said to be from",
    "statistic": "`mean`, or the percentile that the objective names, such as `p95`",
    "table": "whose samples: `replica_samples` or `gpu_samples`",
    "target": "URL that is polled",
    "tokens": "the most tokens that a step of this size processes; it has more than the next smaller size",
    "verdict": _values(Verdict),
    "version": "release of Breakeven",
    "work": f"what comes round at an interval: {_values(Work)}",
}
"""What each label says, for METRICS.md."""

_STALE = f"All of them are absent once the last report is older than {REPORT_STALE_INTERVALS} `evaluation_interval`s."
_SILENT = """\
A replica whose last poll is not recent keeps only `breakeven_last_sample_timestamp_seconds`,
`breakeven_history_covered_seconds` and `breakeven_epoch_start_timestamp_seconds`."""
_SECTIONS: tuple[tuple[str, str, Callable[[Metric], bool]], ...] = (
    ("Verdicts, per deployment and scheme", _STALE, lambda metric: "scheme" in metric.labels),
    (
        "Replicas, over the live span",
        f"{_SILENT} {_STALE}",
        lambda metric: metric.labels[: len(REPLICA)] == REPLICA,
    ),
    ("Deployments, over the decision span", _STALE, lambda metric: "deployment" in metric.labels),
    (
        "Targets",
        "Present from the first poll on, whether it succeeded or not.",
        lambda metric: "target" in metric.labels,
    ),
    (
        "GPUs",
        "A GPU shows only what its driver reports; one that failed shows only that it did.",
        lambda metric: metric.name.startswith("breakeven_gpu_"),
    ),
    ("The daemon itself", "", lambda _: True),
)


def metrics_markdown() -> str:
    """METRICS.md as a whole, ending in a newline. Raises KeyError for a label without a meaning in `LABELS`."""
    return "\n".join((INTRODUCTION, *_labels(), *_metrics()))


def _labels() -> Iterator[str]:
    yield "## Labels\n\n| label | says |\n|---|---|"
    for label in sorted({label for metric in CATALOGUE for label in metric.labels}):
        yield f"| `{label}` | {_cell(LABELS[label])} |"
    yield ""


def _metrics() -> Iterator[str]:
    left = list(CATALOGUE)
    for title, text, belongs in _SECTIONS:
        yield f"## {title}\n"
        if text:
            yield f"{text}\n"
        yield "| metric | type | labels | help |\n|---|---|---|---|"
        for metric in [one for one in left if belongs(one)]:
            left.remove(metric)
            kind = "gauge, always 1" if metric.kind == "info" else metric.kind
            yield f"| `{metric.name}` | {kind} | {_values(metric.labels)} | {_cell(metric.help)} |"
        yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(folder: Path) -> None:
    """Write METRICS.md, CONFIG.md, MONEY.md and ALERTS.md into `folder`."""
    for name, text in made().items():
        (folder / name).write_text(text, encoding="utf-8")


def made() -> Mapping[str, str]:
    """Each file's text by its name."""
    return {
        "METRICS.md": metrics_markdown(),
        "CONFIG.md": config_markdown(),
        "MONEY.md": money_markdown(),
        "ALERTS.md": alerts_markdown(),
    }


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python -m collector.export.docs FOLDER")
    main(Path(sys.argv[1]))
