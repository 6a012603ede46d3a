"""Writes dashboards/*.json: `python grafana/generate.py`, or `--print NAME` to look at one without writing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from capacity import capacity_row
from dashboard import dashboard, prometheus_annotations, prometheus_variables
from evidence import evidence_row, sure_row
from gpus import gpu_row
from health import health_row
from history import history
from savings import saving_row
from schemes import scheme_row
from steps import step_row
from verdicts import why_row, worth_row
from workload import load_row, time_row, workload_row

FOLDER = Path(__file__).parent / "dashboards"


def dashboards() -> dict[str, dict[str, Any]]:
    """Every dashboard by the name of its file."""
    overview = (worth_row, why_row, workload_row, sure_row, saving_row, health_row)
    drilldown = (scheme_row, capacity_row, time_row, step_row, load_row, evidence_row, gpu_row)
    return {
        "overview": dashboard(
            "breakeven",
            "Breakeven: overview",
            "Will quantization pay for these deployments, why, how sure is that, and what would it save?",
            [panel for one in overview for panel in one()],
            prometheus_variables(),
            prometheus_annotations(),
        ),
        "drilldown": dashboard(
            "breakeven-drilldown",
            "Breakeven: drill-down",
            "One deployment, replica and scheme: where the time goes, what a step costs, and on what evidence.",
            [panel for one in drilldown for panel in one()],
            prometheus_variables(),
            prometheus_annotations(),
        ),
        "history": history(),
    }


def text(one: dict[str, Any]) -> str:
    """A dashboard as it stands in its file."""
    return json.dumps(one, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    made = dashboards()
    if sys.argv[1:2] == ["--print"] and sys.argv[2:] and sys.argv[2] in made:
        sys.stdout.write(text(made[sys.argv[2]]))
    elif sys.argv[1:]:
        sys.exit(f"usage: python grafana/generate.py [--print {'|'.join(made)}]")
    else:
        for name, one in made.items():
            (FOLDER / f"{name}.json").write_text(text(one), encoding="utf-8")
