"""Asks Prometheus' own `promtool` which alerts would have fired over a stretch of given series.

`promtool test rules` evaluates rules as the server does, `for`, `keep_firing_for` and ALERTS included. Each step is
asked for the alerts that fire and told to expect none, so that it prints those that do.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from collector.errors import BreakevenError

_SAMPLE = re.compile(r'\{((?:[^"{}]|"(?:[^"\\]|\\.)*")*)\} ([0-9.E+]+)')
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Run:
    """A value that stands from one step to before another."""

    from_step: int
    to_step: int
    value: float


Labels = tuple[tuple[str, str], ...]
Timelines = Mapping[tuple[str, Labels], Sequence[Run]]
"""By metric and labels, runs in their order and apart from each other; where there is none, the series is absent."""


class Promtool:
    """The tool, found. `version` is its own word."""

    def __init__(self, path: str) -> None:
        """Raises BreakevenError when there is no such tool."""
        found = shutil.which(path)
        if found is None:
            raise BreakevenError(
                f"{path} is not there: the rules are evaluated by Prometheus' own promtool (in Debian's package and "
                "the image `prometheus`); install it, or name it with --promtool"
            )
        self._path = found
        said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
        self.version = next(iter((said.stdout + said.stderr).splitlines()), "").partition(" (")[0]

    def firing(
        self, groups: Sequence[Mapping[str, Any]], timelines: Timelines, steps: int, step_s: int
    ) -> Mapping[Labels, Sequence[int]]:
        """The steps at which an alert fires, by its labels (`alertname` among them). Step 0 is time 0.

        Raises BreakevenError when the rules cannot be evaluated.
        """
        questions = [
            # The value says which step it is: times are printed in words.
            {"expr": f'ALERTS{{alertstate="firing"}} * {step + 1}', "eval_time": f"{step * step_s}s"}
            for step in range(steps)
        ]
        series = [{"series": _series(*key), "values": _values(runs)} for key, runs in timelines.items()]
        test = {"interval": f"{step_s}s", "input_series": series, "promql_expr_test": questions}
        document = {"rule_files": ["rules.yml"], "evaluation_interval": f"{step_s}s", "tests": [test]}
        with TemporaryDirectory(prefix="breakeven-replay-") as folder:
            # JSON is YAML too, and faster to write.
            (Path(folder) / "rules.yml").write_text(json.dumps({"groups": list(groups)}), encoding="utf-8")
            text = json.dumps(document, ensure_ascii=False)
            (Path(folder) / "test.yml").write_text(text, encoding="utf-8", errors="replace")
            command = [self._path, "test", "rules", "test.yml"]
            ended = subprocess.run(command, cwd=folder, capture_output=True, check=False)  # noqa: S603
        output = (ended.stdout + ended.stderr).decode(errors="replace")
        found: dict[Labels, list[int]] = {}
        for line in output.splitlines():
            if line.lstrip().startswith("got: {"):
                for labels, value in _SAMPLE.findall(line):
                    found.setdefault(_labels(labels), []).append(round(float(value)) - 1)
        if ended.returncode != 0 and not found:
            said = [line.strip() for line in output.splitlines() if line.strip()]
            raise BreakevenError(f"promtool cannot evaluate the rules: {said[-1] if said else 'it says nothing'}")
        return found


def _labels(text: str) -> Labels:
    # Go quotes as Python reads.
    pairs = ((name, ast.literal_eval(f'"{value}"')) for name, value in _LABEL.findall(text))
    return tuple(sorted((name, value) for name, value in pairs if name not in ("alertstate", "__name__")))


def _series(metric: str, labels: Labels) -> str:
    return metric + "{" + ",".join(f"{name}={_quoted(value)}" for name, value in labels) + "}"


def _quoted(value: str) -> str:
    return json.dumps(value.encode(errors="replace").decode(), ensure_ascii=False)


def _values(runs: Sequence[Run]) -> str:
    """The runs in promtool's notation: `_` is a gap, `stale` the end of a series, `1x3` four times 1."""
    parts = []
    at = 0
    for run in runs:
        if run.from_step > at:
            missing = run.from_step - at
            parts += [f"_x{missing}"] if at == 0 else ["stale", *([f"_x{missing - 1}"] if missing > 1 else [])]
        repeated = run.to_step - run.from_step - 1
        parts.append(_number(run.value) + (f"x{repeated}" if repeated else ""))
        at = run.to_step
    return " ".join([*parts, "stale"])


def _number(value: float) -> str:
    # Its notation has an x of its own, so that exponents are best left out.
    return format(Decimal(repr(value)), "f")
