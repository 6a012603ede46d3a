"""One replica's chain from raw counters to shares (plain JSON of a report), as text with the arithmetic written out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from collector.export.link import Link
from collector.export.step_line import CHARGES, duration, model_line, significant

Plain = Mapping[str, Any]
SPANS = (("recent", "phases", "live span"), ("history", "decision", "decision span"))
_SHARES = ("busy", "prefill_marginal", "prefill_exclusive", "memory_bound", "request_seconds_prefill")
_COMPONENTS = ("weight_read", "kv_read", "decode_compute", "prefill", "overhead", "idle")


@dataclass(frozen=True, slots=True)
class Ends:
    """The stored counters at both ends of the live span; None where a sample is no longer kept."""

    first: Plain | None = None
    last: Plain | None = None


PAGE_COLUMNS = 130
"""What a desktop shows without scrolling."""


def links(replica: Plain) -> tuple[Link, ...]:
    """The chain of one replica for a page; without the stored counters at its ends, which no page waits for."""
    shown = []
    for title, parts in _links(replica, Ends()):
        page = StringIO()
        console = Console(file=page, width=PAGE_COLUMNS, color_system=None, legacy_windows=False)
        for part in parts:
            console.print(part)
        lines = [line.rstrip().removeprefix("  ") for line in page.getvalue().splitlines()]
        shown.append(Link(title, "\n".join(lines)))
    return tuple(shown)


def print_explained(replica: Plain, ends: Ends, console: Console) -> None:
    """Print the chain of one replica, link by link."""
    for title, parts in _links(replica, ends):
        console.print()
        console.print(Text(title, "bold"))
        for part in parts:
            console.print(part)


def _links(replica: Plain, ends: Ends) -> Iterator[tuple[str, Iterable[RenderableType]]]:
    chain = replica["chain"]
    yield "1. What the engine counted", _counted(chain, ends)
    yield "2. Decode batch: sequence-steps over steps", [_line(name, _batch(span_)) for name, span_ in _spans(chain)]
    yield (
        "3. Busy time",
        [_line(name, _busy(replica[account], span_)) for (_, account, name), span_ in _both(chain)],
    )
    yield "4. Lengths and context", _lengths(chain)
    yield "5. What a step costs", _costs(replica)
    yield "6. Where the wall time went", [_components(replica)]
    yield "7. Shares: busy of wall time, the others of busy time", [_shares(replica)]
    yield "8. The evidence ladder", [_ladder(name, span_) for name, span_ in _spans(chain)]
    yield "9. Steps by size", [_sizes(replica)]


def _both(chain: Plain) -> Iterator[tuple[tuple[str, str, str], Plain]]:
    for names in SPANS:
        yield names, chain[names[0]]


def _spans(chain: Plain) -> Iterator[tuple[str, Plain]]:
    for (_, _, name), span_ in _both(chain):
        yield name, span_


def _line(name: str, text: str) -> Text:
    return Text(f"  {name}: {text}")


def _counted(chain: Plain, ends: Ends) -> Iterator[RenderableType]:
    for name, one in _spans(chain):
        if "missing" in one:
            yield _line(name, one["missing"])
            continue
        refused = ", ".join(f"{count} refused ({why})" for why, count in one["refused"].items()) or "none refused"
        long_s = one["end_s"] - one["start_s"]
        yield _line(name, f"{one['windows']} windows cover {one['covered_s']:,.0f} s of {long_s:,.0f} s, {refused}")
    told = [dict(one.get("deltas", {})) for _, one in _spans(chain)]
    kept = [("at its start", ends.first), ("at its end", ends.last)] if ends != Ends() else []
    columns = ["counter", *(title for title, _ in kept), *(f"rise, {name}" for name, _ in _spans(chain))]
    yield _table(
        columns,
        [
            [name, *(_count(end, name) for _, end in kept), *(_count(rise, name) for rise in told)]
            for name in dict.fromkeys(key for rise in told for key in rise)
        ],
    )
    means = [dict(one.get("means", {})) for _, one in _spans(chain)]
    gauges = dict.fromkeys(name for one in means for name in one)
    yield _table(
        ["gauge", *(f"mean, {name}" for name, _ in _spans(chain))],
        [[name, *(_count(mean, name) for mean in means)] for name in gauges],
    )


def _count(values: Plain | None, name: str) -> str:
    value = None if values is None else values.get(name)
    return "-" if value is None else number(float(value))


def number(value: float) -> str:
    """A count or seconds: whole numbers plain, others with three significant digits or more."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}" if abs(value) >= 100 else significant(value)


def _batch(one: Plain) -> str:
    if "missing" in one:
        return str(one["missing"])
    ratio = _ratio(one["deltas"], "decode_sequence_steps_total", "steps_total")
    return "the engine does not count steps and decode batches" if ratio is None else ratio


def _ratio(deltas: Plain, amount: str, count: str) -> str | None:
    """`a / b = c` of two counters' rises; None where one is missing or nothing was counted."""
    above, below = deltas.get(amount), deltas.get(count)
    if above is None or not below:
        return None
    return f"{number(above)} / {number(below)} = {significant(above / below)}"


def _busy(account: Plain, one: Plain) -> str:
    if "missing" in one:
        return str(one["missing"])
    busy = account["busy"]
    if "missing" in busy:
        return f"not known: {busy['missing']}"
    seconds = f"{busy['value']:.1%} of {number(one['covered_s'])} s = {number(busy['value'] * one['covered_s'])} s"
    duty, active = one["gpu_utilization"], one["active_s"]
    beside = [] if duty is None else [f"GPU duty cycle {duty:.1%}"]
    beside += [] if active is None else [f"requests at both ends of {number(active)} s"]
    return f"{seconds}, {_source(busy)}" + (f"; beside it: {', '.join(beside)}" if beside else "")


def _lengths(chain: Plain) -> Iterator[RenderableType]:
    for name, one in _spans(chain):
        deltas = one.get("deltas", {})
        for what, amount, count in (
            ("prompt tokens a finished request", "finished_prompt_tokens_total", "requests_finished_total"),
            ("generated tokens a finished request", "finished_generation_tokens_total", "requests_finished_total"),
            ("computed prompt tokens a prefill", "prefill_tokens_total", "prefills_total"),
        ):
            ratio = _ratio(deltas, amount, count)
            if ratio is not None:
                yield _line(name, f"{what} {ratio}")
    fit = chain["fit"]
    if "missing" in fit:
        return
    lengths, drafts = fit["lengths"], fit["drafts"]
    if lengths.get("told") is False:
        yield _line("over the fit", "no request's lengths are told: context is not told from sequences and tokens")
        return
    yield _line(
        "over the fit",
        f"a decoding sequence reads {number(lengths['context'])} KV tokens a step, a computed prompt token attends to "
        f"{number(lengths['prefill_context'])}, a request computes {number(lengths['prefill'])} prompt tokens"
        + (f", {significant(drafts)} draft tokens a sequence and step" if drafts else ""),
    )


def _costs(replica: Plain) -> Iterator[RenderableType]:
    model, fit = replica["step_time"], replica["chain"]["fit"]
    yield Text(f"  {model_line(model)}")
    if "missing" in model or "missing" in fit:
        return
    rows = []
    for name in CHARGES:
        known, origin = model["coefficients"][name], fit["origins"][name]
        told = origin["why_not"]
        decided = "live data decide it" if told is None else f"not decided: {told}"
        rows.append([name, _seconds(known["estimate"]), _seconds(origin["prior"]), decided])
    yield _table(["coefficient", "fitted (80 % interval)", "prior", ""], rows)
    weights = ", ".join(
        f"{one['law']} with {one['chunk_tokens']:,.0f} prompt tokens a step at most {one['weight']:.0%}"
        for one in sorted(fit["assumptions"], key=lambda one: -one["weight"])
        if one["weight"] >= 0.005
    )
    yield Text(f"  how costs add up, by weight: {weights}; blocks fitted to: {model['blocks']}")
    if "missing" in model["parts"]:
        yield Text(f"  weights read and overhead are not told apart: {model['parts']['missing']}")
        return
    parts = ", ".join(f"{name} {duration(value)}" for name, value in model["parts"].items())
    yield Text(f"  split, by the roofline alone: {parts}")


def _seconds(one: Plain) -> str:
    return f"{duration(one['value'])} ({duration(one['low'])} to {duration(one['high'])})"


def _components(replica: Plain) -> RenderableType:
    accounts = [(name, replica[account]["components"], replica["chain"][key]) for key, account, name in SPANS]
    why = [_line(name, parts["missing"]) for name, parts, _ in accounts if "missing" in parts]
    known = [one for one in accounts if "missing" not in one[1]]
    rows = [
        [
            component,
            *(
                f"{parts[component]['value']:.1%} = {number(parts[component]['value'] * one['covered_s'])} s "
                f"({parts[component]['evidence']})"
                for _, parts, one in known
            ),
        ]
        for component in _COMPONENTS
    ]
    table = _table(["component", *(name for name, *_ in known)], rows) if known else Text("")
    return Group(table, *why)


def _shares(replica: Plain) -> RenderableType:
    rows = []
    for name in _SHARES:
        told = [_figure(replica[account][name]) for _, account, _ in SPANS]
        rows.append([name.replace("_", " "), *told])
    return _table(["share", *(name for *_, name in SPANS)], rows)


def _figure(one: Plain) -> str:
    if "missing" in one:
        return f"not known: {one['missing']}"
    return f"{one['value']:.1%} ({one['low']:.1%} to {one['high']:.1%}) {_source(one)}"


def _source(one: Plain) -> str:
    return f"{one['evidence']}: {str(one['method']).replace('_', ' ')}"


def _ladder(name: str, one: Plain) -> RenderableType:
    if "missing" in one:
        return _line(name, one["missing"])
    rows = []
    for rung in one["ladder"]:
        gave = ", ".join(str(figure).replace("_", " ") for figure in rung["gave"])
        reason = rung["reason"]
        told = "; ".join(
            text for text in (f"gave {gave}" if gave else "", f"no more: {reason}" if reason else "") if text
        )
        rows.append([rung["evidence"], rung["source"], told])
    return Group(Text(f"  {name}"), _table(["rung", "by", "what it gave"], rows))


def _sizes(replica: Plain) -> RenderableType:
    told = [(name, replica[key]) for key, name in (("step_sizes", "live"), ("history_step_sizes", "decision"))]
    why = [_line(f"{name} span", sizes["missing"]) for name, sizes in told if "missing" in sizes]
    known = [(name, sizes) for name, sizes in told if "missing" not in sizes]
    if not known:
        return Group(*why)
    columns = ["tokens up to"]
    for name, _ in known:
        columns += [f"steps, {name}", "time", "one takes"]
    rows = []
    for index, size in enumerate(known[0][1]["sizes"]):
        bound = size["up_to_tokens"]
        mine = [sizes["sizes"][index] for _, sizes in known]
        if any(one["steps"] > 0 for one in mine):
            cells = [text for one in mine for text in _size(one)]
            rows.append(["more" if isinstance(bound, str) else number(bound), *cells])
    return Group(_table(columns, rows), *(Text(f"  {_rests(name, sizes)}") for name, sizes in known), *why)


def _size(one: Plain) -> tuple[str, str, str]:
    busy, step_s = one["busy"], one["step_s"]
    return f"{one['steps']:.1%}", "-" if busy is None else f"{busy:.1%}", "-" if step_s is None else duration(step_s)


def _rests(name: str, sizes: Plain) -> str:
    counted = f"{name} span: {number(sizes['counted_steps'])} steps of {significant(sizes['mean_tokens'])} tokens"
    evidence = sizes["evidence"]
    if isinstance(evidence, Mapping):
        return f"{counted}; their time is not known: {evidence['missing']}"
    batch = significant(sizes["largest_batch"])
    return f"{counted}; their time is {evidence}, tokens beyond a batch of {batch} taken for prompts'"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
