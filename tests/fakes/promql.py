"""PromQL taken apart: which series an expression selects, within which functions, and which labels it groups by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser
from promql_parser import AggregateExpr, BinaryExpr, Call, MatrixSelector, SubqueryExpr, VectorSelector

from collector.export.catalogue import by_name

PROMETHEUS = frozenset({"job", "instance"})
"""Labels that Prometheus puts on every series it scrapes; a label of the same name becomes `exported_...`."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A selected metric with its matchers, and the functions around it, outermost first."""

    metric: str
    matchers: dict[str, str]
    within: tuple[str, ...]


def selectors(expression: str) -> list[Selector]:
    """Every selector of an expression. Raises ValueError when it is not PromQL."""
    return list(_selectors(promql_parser.parse(expression), ()))


def grouped(expression: str) -> list[tuple[set[str], set[str]]]:
    """For each `by`, `on` and the like: (the labels it names, the metrics below it)."""
    return list(_grouped(promql_parser.parse(expression)))


def scraped_labels(metric: str) -> set[str]:
    """The labels of a catalogue metric in Prometheus, `honor_labels` off. Raises KeyError for an unknown metric."""
    own = {f"exported_{label}" if label in PROMETHEUS else label for label in by_name()[metric].labels}
    return own | PROMETHEUS


def _selectors(node: Any, within: tuple[str, ...]) -> Iterator[Selector]:
    if isinstance(node, VectorSelector):
        matchers = {one.name: one.value for one in node.matchers.matchers}
        yield Selector(node.name or matchers.pop("__name__"), matchers, within)
    elif isinstance(node, MatrixSelector):
        yield from _selectors(node.vector_selector, within)
    for inner in _inner(node):
        name = (node.func.name,) if isinstance(node, Call) else ()
        yield from _selectors(inner, within + name)


def _grouped(node: Any) -> Iterator[tuple[set[str], set[str]]]:
    metrics = {one.metric for one in _selectors(node, ())}
    modifier = getattr(node, "modifier", None)
    if isinstance(node, AggregateExpr) and modifier is not None:
        yield set(modifier.labels), metrics
    if isinstance(node, BinaryExpr) and modifier is not None:
        named = list(modifier.matching.labels) if modifier.matching is not None else []
        yield {*named, *(modifier.group_labels or ())}, metrics
    for inner in _inner(node):
        yield from _grouped(inner)


def _inner(node: Any) -> Iterator[Any]:
    if isinstance(node, BinaryExpr):
        yield from (node.lhs, node.rhs)
    elif isinstance(node, Call):
        yield from node.args
    elif isinstance(node, (AggregateExpr, SubqueryExpr)) or type(node).__name__ in ("ParenExpr", "UnaryExpr"):
        yield node.expr
