"""`what-if`: another price, load, objective, GPU or scheme, and the verdict that would follow."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from analyzer.assumptions import Deployment
from analyzer.deployments import DeploymentReport
from analyzer.facts.gpus import Gpu, find_gpu, gpu_candidates
from analyzer.facts.models import find_model
from analyzer.facts.schemes import SCHEMES, is_scheme
from analyzer.report import as_plain
from collector.cli.configured import DEMO_DATABASE, config_option, configured, database_url
from collector.cli.report import default_database, newest_report
from collector.export.what_if_text import print_what_if
from collector.jobs.simulate import demo_settings
from collector.jobs.what_if import Changes, Flags, from_flags, from_history
from collector.settings import Settings
from collector.store import Store


class Finite(click.FloatRange):
    """A number within a range; neither infinite nor none at all."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Fails for what is not a finite number within the range."""
        number = float(super().convert(value, param, ctx))
        if not isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


POSITIVE = Finite(min=0, min_open=True)
AMOUNT = Finite(min=0)
COUNT = click.IntRange(min=1, max=1_000_000)
REPLICAS = click.IntRange(min=1, max=1000)


@click.command("what-if")
@config_option
@click.option("--demo", is_flag=True, help="Ask the history of `breakeven demo`.")
@click.option("--deployment", "name", help="Which deployment; not needed where there is one.")
@click.option("--price", "usd_per_gpu_hour", type=AMOUNT, help="Dollars per GPU-hour.")
@click.option("--load", "load_ratio", type=POSITIVE, help="Load over today's: 2 is twice as many requests.")
@click.option("--ttft", "first_token_s", type=POSITIVE, help="Objective: P95 of time to first token, seconds.")
@click.option("--itl", "token_gap_s", type=POSITIVE, help="Objective: P95 of the gap between tokens, seconds.")
@click.option("--gpu", "gpu_name", help="Another GPU model; state its --price too.")
@click.option("--gpus-per-replica", type=COUNT, help="Another number of GPUs per replica (tensor parallel size).")
@click.option("--scheme", "schemes", multiple=True, help="Judge this scheme; may be repeated.")
@click.option("--minimum-replicas", type=COUNT, help="Fewest replicas that high availability allows.")
@click.option("--growth", "growth_per_month", type=Finite(-1, 1, min_open=True), help="Growth a month: 0.05.")
@click.option("--investment", "investment_usd", type=AMOUNT, help="Dollars of work to quantize, once.")
@click.option("--quality-passes", is_flag=True, help="Suppose that the quality evaluation passes.")
@click.option("--model", help="Without a history: the model.")
@click.option("--rate", "requests_per_s", type=POSITIVE, help="Without a history: requests per second of the fleet.")
@click.option("--prompt", "prompt_tokens", type=COUNT, help="Without a history: mean prompt tokens.")
@click.option("--output", "output_tokens", type=COUNT, help="Without a history: mean generated tokens.")
@click.option("--replicas", type=REPLICAS, help="Without a history: replicas there are.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def what_if(
    *,
    config_file: Path | None,
    demo: bool,
    name: str | None,
    gpu_name: str | None,
    model: str | None,
    requests_per_s: float | None,
    prompt_tokens: int | None,
    output_tokens: int | None,
    replicas: int | None,
    as_json: bool,
    **told: Any,
) -> None:
    """Print what the verdict would be if something were otherwise. Nothing is stored.

    The last report's traffic and step costs are taken from the daemon's history. With --model, --gpu, --rate, --prompt,
    --output and --replicas no history is needed: a simulated server stands in for yours, and all of it is assumed.
    """
    _known_schemes(told["schemes"])
    gpu = None if gpu_name is None else _gpu(gpu_name)
    changes = Changes(gpu=None if gpu is None else gpu.name, **told)
    made_up = {"--model": model, "--rate": requests_per_s, "--prompt": prompt_tokens, "--output": output_tokens,
               "--replicas": replicas}  # fmt: skip
    if any(one is not None for one in made_up.values()):
        missing = [option for option, one in {**made_up, "--gpu": gpu}.items() if one is None]
        if missing or model is None or gpu is None:
            raise click.UsageError(f"without a history these are needed too: {', '.join(missing)}")
        assert requests_per_s is not None
        assert prompt_tokens is not None
        assert output_tokens is not None
        assert replicas is not None
        before, after = _made_up(model, gpu, changes, replicas, requests_per_s, prompt_tokens, output_tokens)
    else:
        before, after = _stored(config_file, changes, name, demo=demo)
    if as_json:
        asked = {key: one for key, one in asdict(changes).items() if one not in (None, (), False)}
        plain = {"changes": asked, "as_it_is": as_plain(before), "what_if": as_plain(after)}
        click.echo(json.dumps(plain, indent=2))
        return
    print_what_if(as_plain(before), as_plain(after), Console())


def _stored(
    config_file: Path | None, changes: Changes, name: str | None, *, demo: bool
) -> tuple[DeploymentReport, DeploymentReport]:
    settings = None if config_file is None else configured(config_file)
    url = database_url(None if demo else settings, default_database(demo=demo))
    if settings is None:
        # The demo has deployments of its own, which no file names.
        settings = demo_settings() if url == DEMO_DATABASE else Settings()
    store = Store.open_to_read(url)
    try:
        body = newest_report(store, "the database").body
        chosen = _chosen([one["name"] for one in body["deployments"]], name)
        return from_history(store, settings, body, chosen, changes)
    finally:
        store.close()


def _chosen(names: list[str], name: str | None) -> str:
    if name is None and len(names) == 1:
        return names[0]
    if name is None or name not in names:
        what = "there are several deployments" if name is None else f"no deployment {name!r}"
        raise click.UsageError(f"{what}: name one with --deployment: {', '.join(names) or 'there is none yet'}")
    return name


def _made_up(
    model: str, gpu: Gpu, changes: Changes, replicas: int, requests_per_s: float, prompt: int, output: int
) -> tuple[DeploymentReport, DeploymentReport]:
    shape = find_model(model)
    if shape is None:
        raise click.UsageError(f"no facts about the model {model!r}: `breakeven servers --models` lists the known ones")
    count = 1 if changes.gpus_per_replica is None else changes.gpus_per_replica
    flags = Flags(model, shape, gpu, count, replicas, requests_per_s, prompt, output)
    try:
        return from_flags(flags, Deployment("flags"), changes)
    except ValueError as error:
        raise click.UsageError(f"these flags make no server: {error}") from None


def _gpu(name: str) -> Gpu:
    gpu = find_gpu(name)
    if gpu is None:
        near = ", ".join(one.name for one in gpu_candidates(name))
        remedy = f"write one of: {near}" if near else "`breakeven servers --gpus` lists the known ones"
        raise click.UsageError(f"no facts about the GPU {name!r}: {remedy}")
    return gpu


def _known_schemes(schemes: tuple[str, ...]) -> None:
    for scheme in schemes:
        if not is_scheme(scheme):
            raise click.UsageError(f"no scheme {scheme!r}: one of {', '.join(SCHEMES)}, or two joined by +")
