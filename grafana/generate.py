"""Writes dashboards/breakeven.json: `python grafana/generate.py`, or `--print` to look without writing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from gpus import gpu_row
from panels import DATASOURCE, Panel
from sources import freshness_row
from steps import step_row
from verdicts import verdict_row
from workload import batch_row, phase_row, time_row, token_row

COLUMNS = 24
DASHBOARD = Path(__file__).parent / "dashboards" / "breakeven.json"


def dashboard() -> dict[str, Any]:
    """The dashboard in Grafana's classic model, schema 39: Grafana 9 to 13 load it."""
    rows = (verdict_row, phase_row, batch_row, token_row, time_row, step_row, freshness_row, gpu_row)
    return {
        "id": None,
        "uid": "breakeven",
        "title": "Breakeven",
        "description": "Will quantization pay for this workload, on what evidence, and is any of it fresh?",
        "tags": ["breakeven", "inference", "quantization"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "weekStart": "",
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "links": [],
        "annotations": {"list": []},
        "templating": {"list": _variables()},
        "panels": placed([panel for one in rows for panel in one()]),
    }


def placed(panels: list[Panel]) -> list[Panel]:
    """The panels with id and place, left to right and line by line; a row's heading has a line of its own."""
    x = y = line = 0
    made = []
    for number, panel in enumerate(panels, start=1):
        size = panel["gridPos"]
        if x + size["w"] > COLUMNS:
            x, y, line = 0, y + line, 0
        made.append({"id": number, **panel, "gridPos": {"x": x, "y": y, **size}})
        x, line = x + size["w"], max(line, size["h"])
    return made


def _variables() -> list[dict[str, Any]]:
    daemon = 'job=~"$job",instance=~"$instance"'
    deployment = f'{daemon},deployment=~"$deployment"'
    return [
        {
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
            "regex": "",
            "current": {},
            "options": [],
            "hide": 0,
            "includeAll": False,
            "multi": False,
            "refresh": 1,
        },
        _labels("job", "Scrape job", "label_values(breakeven_build_info, job)"),
        _labels("instance", "Daemon", 'label_values(breakeven_build_info{job=~"$job"}, instance)'),
        _labels("deployment", "Deployment", f"label_values(breakeven_deployment_replicas{{{daemon}}}, deployment)"),
        _labels("target", "Target", f"label_values(breakeven_target_up{{{daemon}}}, target)"),
        _labels("scheme", "Scheme", f"label_values(breakeven_verdict{{{deployment}}}, scheme)"),
    ]


def _labels(name: str, label: str, query: str) -> dict[str, Any]:
    """A variable of several values; All matches series that come later too."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": f"variable-{name}"},
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "includeAll": True,
        "multi": True,
        "options": [],
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
    }


if __name__ == "__main__":
    text = json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"
    if sys.argv[1:] == ["--print"]:
        sys.stdout.write(text)
    elif sys.argv[1:]:
        sys.exit("usage: python grafana/generate.py [--print]")
    else:
        DASHBOARD.write_text(text, encoding="utf-8")
