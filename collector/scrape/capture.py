"""A metrics page made fit to be shared: a provenance header, and label values that could identify someone masked."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from collector.errors import Kind, SourceError
from collector.scrape.lines import SAMPLE, BadLineError, excerpt, labels, number

_KEPT = frozenset(
    {
        *("le", "quantile", "model", "model_name", "engine", "engine_type", "version", "type", "reason", "source"),
        *("finished_reason", "mode", "category", "method", "phase", "stage", "status", "state", "sleep_state"),
        *("rank", "dp_rank", "tp_rank", "pp_rank", "moe_ep_rank", "gpu", "generation", "position", "cache_source"),
        *("implementation", "major", "minor", "patchlevel", "dtype", "cache_dtype", "quantization", "is_streaming"),
        *("ReplicaId", "request_type", "general_type", "memory_type", "kv_cache_block_type", "response_metric_type"),
        "inflight_batcher_specific_metric",
        "gpu_type",
    }
)
_HARMLESS = re.compile(
    r"[-+]?[0-9]+(?:\.[0-9]*)?(?:e[-+]?[0-9]+)?|true|false|none|null|auto|\+?inf|nan|", re.IGNORECASE
)
"""Numbers, truth values and the like: they name nobody, and engines' settings are worth keeping."""


def masked(page_text: str, url: str) -> str:
    """The page with a header that says where it comes from, without host, credentials or query.

    Label values are kept where the label is an engine's own (model, rank, `le` ...) or the value is a number or a
    truth value; every other distinct value becomes `masked-1`, `masked-2` ..., so that series stay distinct.
    Exemplars are dropped, comments kept. Model names are kept: they tell the quantization.
    Raises SourceError BAD_PAGE for a line that is neither a sample nor a comment.
    """
    masks: dict[str, str] = {}
    out = [*_header(url)]
    for number_of_line, line in enumerate(page_text.split("\n"), start=1):
        try:
            out.append(_masked_line(line, masks))
        except BadLineError as error:
            text = f"line {number_of_line} of the metrics page: {error}: {excerpt(line.encode())}"
            raise SourceError(Kind.BAD_PAGE, text) from None
    return "\n".join(out)


def _header(url: str) -> tuple[str, ...]:
    parts = urlsplit(url)
    return (
        f"# SOURCE: captured by breakeven from {parts.scheme}://HOST{parts.path}",
        f"# MASKED: label values, except numbers and those of {', '.join(sorted(_KEPT))}",
    )


def _masked_line(line: str, masks: dict[str, str]) -> str:
    raw = line.encode("utf-8", "replace")
    match = SAMPLE.match(raw)
    if match is None:
        if line.strip() and not line.lstrip().startswith("#"):
            raise BadLineError("neither a sample nor a comment")
        return line
    name, own, whole = match.groups()
    rest = line[len(raw[: match.end()].decode()) :].partition(" # ")[0].rstrip()
    number(rest.encode(), openmetrics=True)
    found = labels(own or whole or b"")
    terms = [f"{_label(label)}={_quoted(_mask(label, value, masks))}" for label, value in found.values.items()]
    if found.name is not None:
        terms.insert(0, _quoted(found.name))
    series = "" if name is None else name.decode()
    return f"{series}{{{','.join(terms)}}} {rest}" if terms else f"{series} {rest}"


def _mask(label: str, value: str, masks: dict[str, str]) -> str:
    if label in _KEPT or _HARMLESS.fullmatch(value):
        return value
    return masks.setdefault(value, f"masked-{len(masks) + 1}")


def _label(label: str) -> str:
    return label if re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", label) else _quoted(label)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
