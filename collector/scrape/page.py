"""One metrics page (text 0.0.4 or OpenMetrics 1.0) -> `Page`, read fast by remembering the page's layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import NamedTuple
from weakref import WeakValueDictionary

from collector.scrape.layout import Layout, learn
from collector.scrape.limits import Limits
from collector.scrape.lines import BadLineError, number

_USUAL_LINES = 20_000
"""A page of more lines is forgotten with its target: nobody's is like it."""


class Sample(NamedTuple):
    """One series of the page. The labels are shared between samples and pages: never change them."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says about the wanted names.

    `types` holds every declared type as written, by declared name. `names` holds every sample name of the page,
    wanted or not. `values` are those of the layout's series, in its order; NaN means no value. `whole`: every wanted
    series surely has a value (infinities of both signs leave it open). `sample_count` counts all samples. `layout` is
    the same object for pages of the same shape.
    """

    types: Mapping[str, str]
    names: frozenset[str]
    values: Sequence[float]
    whole: bool
    sample_count: int
    openmetrics: bool
    layout: Layout

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The wanted samples in page order, without those that have no value."""
        return tuple(
            Sample(series.name, series.labels, value)
            for series, value in zip(self.layout.series, self.values, strict=True)
            if not isnan(value)
        )


class LayoutPool:
    """Layouts shared between the parsers of many targets: like servers have like pages."""

    def __init__(self) -> None:
        self._layouts: WeakValueDictionary[object, Layout] = WeakValueDictionary()
        self._newest: dict[object, Layout] = {}

    def newest(self, key: object) -> Layout | None:
        """The layout that was added last, unless it was a huge one."""
        return self._newest.get(key)

    def intern(self, key: object, layout: Layout) -> Layout:
        """The pool's own object for a layout; a new one shares what it can with the one that came before it."""
        known = self._layouts.get((key, layout.shape))
        if known is not None:
            return known
        like = self._newest.get(key)
        if like is not None:
            layout.share(like)
        self._layouts[key, layout.shape] = layout
        if layout.line_count <= _USUAL_LINES:
            self._newest[key] = layout
        return layout


class PageParser:
    """Parses one target's pages; the layout of the last one makes the next of the same shape cheap.

    A remembered layout is used only after every line of the new page was verified against it: comments whole,
    samples up to their value. Any difference leads to the full parse, so both ways give the same page.
    Values of samples that are not wanted are checked by the full parse only.
    """

    __slots__ = ("_layout", "_limits", "_pool", "_wanted")

    def __init__(self, wanted: frozenset[str] | None, limits: Limits, pool: LayoutPool | None = None) -> None:
        """`wanted` are the sample names to keep; None keeps all."""
        self._wanted = wanted
        self._limits = limits
        self._pool = pool
        self._layout: Layout | None = None

    def parse(self, body: bytes, content_type: str = "") -> Page:
        """The page in `body`.

        Raises SourceError: NOT_METRICS, BAD_PAGE, TOO_MANY_SAMPLES or LABEL_LIMIT; nothing else.
        """
        declared_openmetrics = content_type.startswith("application/openmetrics-text")
        lines = body.split(b"\n")
        layout = self._known()
        values = None if layout is None else _values(layout, body, lines, declared_openmetrics)
        if layout is None or values is None:
            layout = self._learn(body, lines, content_type, declared_openmetrics)
            values = _values(layout, body, lines, declared_openmetrics)
            assert values is not None  # the full parse has read them all
        self._layout = layout
        whole = not isnan(sum(values))
        return Page(layout.types, layout.names, values, whole, len(layout.prefixes), layout.openmetrics, layout)

    def forget(self) -> None:
        """Such pages are not asked for any more: the next is learnt anew, or known from another target."""
        self._layout = None

    def _known(self) -> Layout | None:
        """The layout of this target's last page, else of another's: a thousand like servers are learnt once."""
        if self._layout is None and self._pool is not None:
            return self._pool.newest((self._wanted, self._limits))
        return self._layout

    def _learn(self, body: bytes, lines: list[bytes], content_type: str, declared_openmetrics: bool) -> Layout:
        self._layout = None
        layout = learn(body, lines, content_type, declared_openmetrics, self._wanted, self._limits)
        if self._pool is not None:
            layout = self._pool.intern((self._wanted, self._limits), layout)
        self._layout = layout
        return layout


def _values(layout: Layout, body: bytes, lines: list[bytes], declared_openmetrics: bool) -> list[float] | None:
    """The wanted values; None when the page has another shape, or one is no number."""
    rests = layout.rests(body, lines, declared_openmetrics)
    if rests is None:
        return None
    try:
        values = list(map(float, rests))
    except ValueError:
        pass  # a time stamp, an exemplar or rubbish follows a value
    else:
        if b"_" not in b"".join(rests):  # Python's float() takes 1_000, the format does not
            return values
    try:
        return [number(rest, layout.openmetrics) for rest in rests]
    except BadLineError:
        return None
