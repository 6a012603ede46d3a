"""`explain`: for one replica the whole chain from raw counters to shares, with the numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from analyzer.samples import ReplicaKey
from collector.cli.configured import config_option
from collector.cli.report import last_report
from collector.export.explained import Ends, print_explained
from collector.store import Reader

Plain = Mapping[str, Any]
_CLOSE_S = 1e-3
"""Stored instants are rounded to microseconds."""


@click.command()
@click.argument("replica", required=False, default="")
@config_option
@click.option("--demo", is_flag=True, help="A replica of `breakeven demo`.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(replica: str, config_file: Path | None, demo: bool, as_json: bool) -> None:
    """Print how a replica's figures came about: counters, batch, busy time, step costs, shares, evidence.

    REPLICA is part of its address, model or deployment; it can be left out where there is only one.
    """
    with last_report(config_file, demo=demo) as (stored, reader):
        body = stored.body
        one = chosen(body["replicas"], replica)
        ends = _ends(reader, one)
    if as_json:
        plain = {"made_at_s": body["made_at_s"], "simulated": body["simulated"], "replica": one}
        click.echo(json.dumps({**plain, "first_sample": ends.first, "last_sample": ends.last}, indent=2))
        return
    console = Console()
    made = datetime.fromtimestamp(body["made_at_s"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    console.print(Text(f"{name_of(one)}, report of {made}", "bold"))
    if one["simulated"]:
        console.print(Text("Simulated: the figures come from the bundled simulator and decide nothing.", "yellow"))
    if "chain" not in one:
        console.print("This report was made by an older release, which did not keep the chain.")
        return
    print_explained(one, ends, console)


def chosen(replicas: Sequence[Plain], text: str) -> Plain:
    """The one replica whose name holds the text. Raises click.UsageError, with those to choose from, for any other."""
    if not replicas:
        raise click.UsageError("the last report holds no replica: no inference server has been seen")
    found = [one for one in replicas if text in name_of(one)]
    if len(found) == 1:
        return found[0]
    names = "\n".join(f"  {name_of(one)}" for one in (found or replicas))
    what = f"no replica's name holds {text!r}" if not found else "there are several replicas"
    raise click.UsageError(f"{what}: name a part of one of\n{names}")


def name_of(one: Plain) -> str:
    """Address, model, deployment and rank, as they are chosen by."""
    key = one["replica"]
    model = key["model"] or "no model name"
    return f"{key['target']} {model} (deployment {one['deployment']}, rank {key['rank']})"


def _ends(reader: Reader, one: Plain) -> Ends:
    """The stored samples at the ends of the live span, where they are still kept."""
    live = one.get("chain", {}).get("recent", {"missing": ""})
    if "missing" in live:
        return Ends()
    key = ReplicaKey(**one["replica"])
    ends = []
    for at_s in (live["start_s"], live["end_s"]):
        found = reader.samples(at_s - _CLOSE_S, at_s + _CLOSE_S, key)
        ends.append({name: value for name, value in asdict(found[0]).items() if name != "replica"} if found else None)
    return Ends(*ends)
