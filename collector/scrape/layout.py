"""The shape of a metrics page, learnt once from a full parse and then verified line by line on every later page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from collector.errors import Kind, SourceError
from collector.scrape.limits import Limits
from collector.scrape.lines import COMMENT, SAMPLE, TYPE, BadLineError, Labels, decoded, excerpt, labels, number

T = TypeVar("T")
_COMMENT_LINES_PER_SAMPLE = 4
"""An honest page has at most HELP, TYPE, UNIT and a blank line per family."""
_LINES_WITHOUT_SAMPLES = 10_000


class Series(NamedTuple):
    """A wanted series."""

    name: str
    labels: Mapping[str, str]


class Layout:
    """One page's shape: its comments whole, its samples up to their value, and which of them are wanted."""

    __slots__ = (
        "__weakref__",
        "at",
        "fixed",
        "fixed_of",
        "line_count",
        "names",
        "openmetrics",
        "other_bytes",
        "places",
        "prefixes",
        "series",
        "types",
        "varying_of",
        "wanted",
        "wanted_of",
    )

    def __init__(
        self,
        lines: list[bytes],
        starts: Mapping[int, int],
        series: Mapping[int, Series],
        types: Mapping[str, str],
        names: frozenset[str],
        openmetrics: bool,
    ) -> None:
        """`starts` gives for each sample's line, in order, where its value starts; all other lines are fixed.

        `series` are the wanted ones by their line, in order.
        """
        self.line_count = len(lines)
        self.at = tuple(starts)
        self.varying_of = _picker(self.at)
        self.fixed_of = _picker(tuple(index for index in range(len(lines)) if index not in starts))
        self.prefixes = tuple(lines[index][:start] for index, start in starts.items())
        self.fixed = tuple(self.fixed_of(lines))
        self.other_bytes = self.line_count - 1 + sum(map(len, self.fixed)) + sum(map(len, self.prefixes))
        """All of a page but the samples' values and what follows them."""
        place = {line: number for number, line in enumerate(self.at)}
        self.wanted = tuple(place[line] for line in series)
        self.wanted_of = _picker(self.wanted)
        self.places: dict[str, Any] = {}
        """What readers of such pages remember of where their figures stand, by engine."""
        self.series = tuple(series.values())
        self.types = types
        self.names = names
        self.openmetrics = openmetrics

    @property
    def shape(self) -> object:
        """What two layouts have in common when they are the same."""
        return self.at, self.prefixes, self.fixed, self.openmetrics

    def share(self, like: Layout) -> None:
        """Hold the very lines and series that another layout holds, where they are equal.

        The pages of two servers often differ in one line, such as the number of their KV blocks.
        """
        if (self.line_count, self.at, self.wanted) != (like.line_count, like.at, like.wanted):
            return
        self.at, self.varying_of, self.fixed_of = like.at, like.varying_of, like.fixed_of
        self.wanted, self.wanted_of = like.wanted, like.wanted_of
        self.prefixes = tuple(map(_held, self.prefixes, like.prefixes))
        self.fixed = tuple(map(_held, self.fixed, like.fixed))
        self.series = tuple(map(_held, self.series, like.series))
        self.types, self.names = _held(self.types, like.types), _held(self.names, like.names)

    def rests(self, body: bytes, lines: list[bytes], declared_openmetrics: bool) -> Sequence[bytes] | None:
        """What follows name and labels of each wanted series; None unless only values differ from this shape.

        `lines` are the body's.
        """
        if len(lines) != self.line_count or (declared_openmetrics and not self.openmetrics):
            return None
        if tuple(self.fixed_of(lines)) != self.fixed:
            return None
        rests = list(map(bytes.removeprefix, self.varying_of(lines), self.prefixes))
        # A line that does not begin with its prefix stays whole, and then all together are longer.
        return self.wanted_of(rests) if sum(map(len, rests)) == len(body) - self.other_bytes else None


def _held(mine: T, theirs: T) -> T:
    return theirs if mine == theirs else mine


def _picker(indices: tuple[int, ...]) -> Callable[[Sequence[bytes]], Sequence[bytes]]:
    if len(indices) > 1:
        return itemgetter(*indices)
    return lambda lines: [lines[index] for index in indices]


def learn(
    body: bytes,
    lines: list[bytes],
    content_type: str,
    declared_openmetrics: bool,
    wanted: frozenset[str] | None,
    limits: Limits,
) -> Layout:
    """The layout of a page, from a full parse that checks every line and the limits.

    Raises SourceError: NOT_METRICS, BAD_PAGE, TOO_MANY_SAMPLES or LABEL_LIMIT.
    """
    if len(lines) > _LINES_WITHOUT_SAMPLES + (1 + _COMMENT_LINES_PER_SAMPLE) * limits.sample_limit:
        raise SourceError(Kind.TOO_MANY_SAMPLES, f"{len(lines)} lines on the page; sample_limit {limits.sample_limit}")
    what = _not_metrics(body, content_type)
    if what is not None:
        raise SourceError(Kind.NOT_METRICS, f"not a metrics page: {what}")
    full = _FullParse(declared_openmetrics or _ends_with_eof(lines), wanted, limits)
    for index, line in enumerate(lines):
        try:
            full.line(index, line)
        except BadLineError as error:
            if not full.starts and not full.types:
                raise SourceError(Kind.NOT_METRICS, f"not a metrics page: it begins with {excerpt(line)}") from None
            text = f"line {index + 1} of the metrics page: {error}: {excerpt(line)}"
            raise SourceError(Kind.BAD_PAGE, text) from None
    if lines[-1]:
        raise SourceError(Kind.BAD_PAGE, "the metrics page ends in the middle of a line: it was cut off")
    if full.openmetrics and not full.ended:
        raise SourceError(Kind.BAD_PAGE, "the metrics page ends without '# EOF': it was cut off")
    if not full.starts and not full.types:
        raise SourceError(Kind.NOT_METRICS, "not a metrics page: only comments or blank lines")
    return Layout(lines, full.starts, full.series, full.types, frozenset(map(decoded, full.names)), full.openmetrics)


class _FullParse:
    """The full parse of one page, line by line."""

    def __init__(self, openmetrics: bool, wanted: frozenset[str] | None, limits: Limits) -> None:
        self.openmetrics = openmetrics
        self.starts: dict[int, int] = {}
        self.series: dict[int, Series] = {}
        self.types: dict[str, str] = {}
        self.names: set[bytes] = set()
        self.ended = False
        self._wanted = None if wanted is None else frozenset(name.encode() for name in wanted)
        self._limits = limits
        self._plain_bytes = min(limits.label_name_length_limit, limits.label_value_length_limit)
        self._parsed: dict[bytes, Labels] = {}
        self._seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()

    def line(self, index: int, line: bytes) -> None:
        """One line. Raises BadLineError, or SourceError for an exceeded limit."""
        match = SAMPLE.match(line)
        if match is None:
            self._comment(line)
            return
        if self.ended:
            raise BadLineError("a sample after '# EOF'")
        name, own, whole = match.groups()
        raw = own or whole
        start = match.end()
        if len(self.starts) >= self._limits.sample_limit:
            text = f"more samples on the page than sample_limit allows ({self._limits.sample_limit})"
            raise SourceError(Kind.TOO_MANY_SAMPLES, text)
        # A short line with few '=' cannot exceed a limit, so its labels need no look.
        long = start > self._plain_bytes or (raw is not None and raw.count(b"=") >= self._limits.label_limit)
        if whole is not None:
            found = self._labels(whole)
            if found.name is None:
                raise BadLineError("a sample without a name")
            name = found.name.encode()
        if long:
            self._check_limits(decoded(name), self._labels(raw))
        number(line[start:], self.openmetrics)
        self.names.add(name)
        if self._wanted is None or name in self._wanted:
            self._keep(index, decoded(name), self._labels(raw).values)
        self.starts[index] = start

    def _keep(self, index: int, name: str, values: Mapping[str, str]) -> None:
        key = (name, frozenset(values.items()))
        if key in self._seen:
            raise BadLineError("the same series twice")
        self._seen.add(key)
        self.series[index] = Series(name, values)

    def _labels(self, raw: bytes | None) -> Labels:
        if raw is None:
            raw = b""
        found = self._parsed.get(raw)
        if found is None:
            found = self._parsed[raw] = labels(raw)
        return found

    def _check_limits(self, name: str, found: Labels) -> None:
        limits = self._limits
        if len(found.values) + 1 > limits.label_limit:
            count = len(found.values) + 1
            raise SourceError(Kind.LABEL_LIMIT, f"{name!a} has {count} labels; label_limit {limits.label_limit}")
        for label, value in (("__name__", name), *found.values.items()):
            if len(label.encode()) > limits.label_name_length_limit:
                text = f"a label name of {name[:60]!a} is longer than label_name_length_limit"
                raise SourceError(Kind.LABEL_LIMIT, f"{text} ({limits.label_name_length_limit})")
            if len(value.encode()) > limits.label_value_length_limit:
                text = f"the value of {label[:60]!a} of {name[:60]!a} is longer than label_value_length_limit"
                raise SourceError(Kind.LABEL_LIMIT, f"{text} ({limits.label_value_length_limit})")

    def _comment(self, line: bytes) -> None:
        text = line.strip(b" \t\r")
        if not text:
            return
        if not text.startswith(b"#"):
            raise BadLineError("neither a sample nor a comment")
        keyword = COMMENT.match(line)
        if keyword is None:
            return
        if keyword.group(1) == b"EOF":
            self.ended = self.ended or self.openmetrics
        elif self.ended:
            raise BadLineError("metadata after '# EOF'")
        elif keyword.group(1) == b"TYPE":
            self._type(line)

    def _type(self, line: bytes) -> None:
        match = TYPE.match(line)
        if match is None:
            raise BadLineError("a TYPE line that declares nothing")
        name = labels(match.group(1)).name if match.group(1).startswith(b'"') else match.group(1).decode("ascii")
        if name is None:
            raise BadLineError("a TYPE line without a name")
        declared = match.group(2).decode("ascii")
        if self.types.setdefault(name, declared) != declared:
            raise BadLineError("a second TYPE for the same name")


def _ends_with_eof(lines: list[bytes]) -> bool:
    return next((line.rstrip() == b"# EOF" for line in reversed(lines) if line.strip()), False)


def _not_metrics(body: bytes, content_type: str) -> str | None:
    """What a body that is no metrics page looks like; None when it may be one."""
    head = body[:4096].lstrip()
    if not body.strip():
        return "an empty answer"
    if b"\x00" in head and not SAMPLE.match(head) and not head.startswith(b"#"):
        return "binary data"
    if head.startswith(b"<") or content_type.startswith("text/html"):
        return "an HTML page"
    if content_type.startswith("application/json") or (head.startswith((b"{", b"[")) and not SAMPLE.match(head)):
        return "JSON"
    return None
