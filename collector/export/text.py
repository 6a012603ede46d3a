"""A report, as stored or served (plain JSON), as a terminal table that a manager can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from collector.export.article_lines import article_lines, beside_line
from collector.export.canary_line import canary_line
from collector.export.capacity_lines import fleet_lines, scheme_line
from collector.export.option_lines import option_lines
from collector.export.step_line import evidence_line
from collector.export.words import WORDS, address

Plain = Mapping[str, Any]
STALE_S = 900.0
WIDE_COLUMNS = 120
"""From this width on the reasons have room in a table; below it they stand under each scheme."""


def print_report(report: Plain, console: Console, now_s: float) -> None:
    """Print every deployment with its schemes."""
    made = datetime.fromtimestamp(report["made_at_s"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    console.print(Text(f"Breakeven report of {made}", "bold"))
    age_s = now_s - report["made_at_s"]
    if age_s > STALE_S:
        console.print(Text(f"This report is {age_s / 3600:.1f} hours old: is the daemon running?", "yellow"))
    if report["simulated"]:
        console.print(Text("Simulated: the figures come from the bundled simulator and decide nothing.", "yellow"))
    if not report["deployments"]:
        console.print("No inference server has been seen yet.")
    for deployment in report["deployments"]:
        console.print()
        members = [one for one in report["replicas"] if one["deployment"] == deployment["name"]]
        console.print(_deployment(deployment, members, wide=console.width >= WIDE_COLUMNS))


def print_deployment(one: Plain, console: Console) -> None:
    """Print one deployment alone, without its replicas."""
    console.print(_deployment(one, [], wide=console.width >= WIDE_COLUMNS))


def _deployment(one: Plain, members: Sequence[Plain], *, wide: bool) -> RenderableType:
    lines = [Text(f"{one['name']}: {one['model'] or 'model not reported'}", "bold")]
    hardware = "GPU not known" if one["gpu"] is None else f"{one['gpus']} x {one['gpu']}"
    stale = ", older than 90 days" if one["price_stale"] else ""
    price = "no price stated" if one["price_source"] is None else f"price: {one['price_source']}{stale}"
    mix = (
        f"memory-bound {figure(one['memory_bound'], '{:.0%}')} of busy time, "
        f"prefill {figure(one['prefill_marginal'], '{:.0%}')} (marginal), "
        f"decode batch {figure(one['decode_batch'], '{:.1f}')}, "
        f"{figure(one['generation_tokens_per_s'], '{:,.1f}')} generated tokens/s"
    )
    cost = f"{figure(one['usd_per_million_tokens'], '${:,.2f}')} per million generated tokens ({price})"
    answering = f"{one['fresh_replicas']} of {one['replicas']} replicas answer, {hardware}"
    lines += [Text(f"  {line}") for line in (answering, mix, cost)]
    lines += [Text(f"  {line}") for line in fleet_lines(one["capacity"])]
    lines += [Text(f"  {line}") for line in option_lines(one["options"])]
    lines += [Text(f"  {line}", "dim") for line in article_lines(one["article"])]
    lines += [Text(f"  {address(member['replica'])}: {evidence_line(member)}", "dim") for member in members]
    lines += [Text(f"  assumed: {text}", "yellow") for text in one.get("assumed", ())]
    if wide:
        return Group(*lines, _table(one["schemes"]))
    return Group(*lines, *(line for scheme in one["schemes"] for line in _scheme(scheme)))


def _table(schemes: Sequence[Plain]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim")
    for name in ("scheme", "verdict", "step speed-up"):
        table.add_column(name, no_wrap=True)
    for name in ("saves / month", "payback"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("for (+) and against (-)", overflow="fold", ratio=1)
    for one in schemes:
        word, style = WORDS[one["state"]["verdict"]]
        money = one["money"]
        saving, payback = _usd(money["saving_usd_per_month"]), _months(money["payback_months"])
        told = [f"saves {saving} a month{avoided}"] if (avoided := _avoided(money)) else []
        lines = [Text(line, "dim") for line in (*told, *_beside(one))]
        lines += [Text(f"{sign} {text}", colour) for sign, text, colour in _reasons(one)]
        reasons = Text("\n").join(lines)
        table.add_row(one["scheme"], Text(word, style), _speedup(one["speedup"]), saving, payback, reasons)
    return table


def _reasons(one: Plain) -> list[tuple[str, str, str]]:
    """(sign, reason, colour), the two strongest of either side."""
    judged = one["judged"]
    sides = (("+", judged["reasons_for"], "green"), ("-", judged["reasons_against"], ""))
    return [(sign, text, colour) for sign, texts, colour in sides for text in texts[:2]]


def _scheme(one: Plain) -> list[RenderableType]:
    """One line of figures, then the reasons, indented: readable at any width."""
    word, style = WORDS[one["state"]["verdict"]]
    money = one["money"]
    head = Text(f"  {one['scheme']:<11}")
    head.append(f"{word:<16}", style)
    head.append(_speedup(one["speedup"]))
    saving, payback = _usd(money["saving_usd_per_month"]), _months(money["payback_months"])
    first = f"saves {saving} a month{_avoided(money)}, payback: {payback}"
    figures = [Text(first), *(Text(line, "dim") for line in _beside(one))]
    reasons = [Text(f"{sign} {text}", colour) for sign, text, colour in _reasons(one)]
    return [head, *(Padding(line, (0, 0, 0, 6), expand=False) for line in (*figures, *reasons))]


def _beside(one: Plain) -> list[str]:
    """What a replica would carry, what one that serves it does, and what the article would say."""
    told = (scheme_line(one["capacity"]), canary_line(one.get("canary")), beside_line(one["article"]))
    return [line for line in told if line is not None]


def _avoided(money: Plain) -> str:
    """GPUs that need not be bought, in money; nothing where that is none."""
    avoided = money["avoided_usd_per_month"]
    if "missing" in avoided or avoided["value"] <= 0:
        return ""
    return f" and {_usd(avoided)} by GPUs not bought, the first year's mean"


def figure(one: Plain, form: str) -> str:
    """A figure's central value, or that it is not known."""
    return "not known" if "missing" in one else form.format(one["value"])


def _speedup(one: Plain) -> str:
    if "missing" in one:
        return "not known"
    return f"{one['value']:.2f}x ({one['low']:.2f}-{one['high']:.2f}) {one['evidence']}"


def _usd(one: Plain) -> str:
    return figure(one, "${:,.0f}").replace("$-", "-$")


def _months(one: Plain) -> str:
    return "never" if one.get("value") == "infinite" else figure(one, "{:.1f} months")
