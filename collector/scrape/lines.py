"""One line of the text exposition formats: its grammar, its labels, its value, and text that is safe to pass on."""

from __future__ import annotations

import re
from typing import NamedTuple

_NAME = rb"[a-zA-Z_:][a-zA-Z0-9_:]*+"
_QUOTED = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TERM = rb"(?:[a-zA-Z_][a-zA-Z0-9_]*+|" + _QUOTED + rb")[ \t]*+=[ \t]*+" + _QUOTED
_LABELS = rb"\{[ \t]*+(?:%(item)s[ \t]*+(?:,[ \t]*+%(item)s[ \t]*+)*+(?:,[ \t]*+)?)?\}" % {
    b"item": rb"(?:" + _TERM + rb"|" + _QUOTED + rb")"
}
SAMPLE = re.compile(
    rb"[ \t]*+(?:(%(name)s)(?:[ \t]*+(%(labels)s)[ \t]*+|[ \t]++)|(%(labels)s)[ \t]*+)(?=[^ \t\r])"
    % {b"name": _NAME, b"labels": _LABELS}
)
"""Up to the value. Groups: name, its labels, labels that hold the name (the UTF-8 form)."""
TYPE = re.compile(rb"[ \t]*#[ \t]+TYPE[ \t]+(%s|%s)[ \t]+([a-z]+)[ \t\r]*$" % (_NAME, _QUOTED))
COMMENT = re.compile(rb"[ \t]*#[ \t]+(TYPE|HELP|UNIT|EOF)(?![^ \t\r])")
_ITEM = re.compile(rb"(?:([a-zA-Z_][a-zA-Z0-9_]*|%(q)s)[ \t]*=[ \t]*)?(%(q)s)" % {b"q": _QUOTED})
_ESCAPE = re.compile(r"\\[\\n\"]")
_ESCAPES = {"\\\\": "\\", "\\n": "\n", '\\"': '"'}
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_EXCERPT_CHARS = 80


class BadLineError(ValueError):
    """A line that is not of the format; the text says what is wrong with it."""


class Labels(NamedTuple):
    """A parsed label set; `name` is the metric's name where it stands among the labels."""

    name: str | None
    values: dict[str, str]


def clean(text: str) -> str:
    """The text with control characters replaced, which no log, terminal or page should have to carry.

    Line feed and tab stay: every exit escapes them.
    """
    return _CONTROL.sub("�", text)


def decoded(raw: bytes) -> str:
    """A name or label text: invalid UTF-8 and control characters replaced (so no lone surrogate can come in)."""
    return clean(raw.decode("utf-8", "replace"))


def excerpt(line: bytes) -> str:
    """A line for an error message: one line, ASCII, short."""
    text = ascii(line[: _EXCERPT_CHARS + 1].decode("utf-8", "replace"))
    return text if len(line) <= _EXCERPT_CHARS else f"{text[: _EXCERPT_CHARS + 1]}...'"


def labels(raw: bytes) -> Labels:
    """The labels in `{...}`, a text that the SAMPLE pattern accepted. Raises BadLineError for a repeated label."""
    name: str | None = None
    values: dict[str, str] = {}
    for match in _ITEM.finditer(raw):
        key, value = match.groups()
        if key is None:
            if name is not None:
                raise BadLineError("two metric names in one sample")
            name = _unquoted(value)
            continue
        label = _unquoted(key) if key.startswith(b'"') else key.decode("ascii")
        if label in values:
            raise BadLineError(f"the label {label!a} twice in one sample")
        values[label] = _unquoted(value)
    return Labels(name, values)


def _unquoted(raw: bytes) -> str:
    text = raw[1:-1].decode("utf-8", "replace")
    if "\\" in text:
        text = _ESCAPE.sub(lambda match: _ESCAPES[match.group()], text)
    return clean(text)


def number(rest: bytes, openmetrics: bool) -> float:
    """The value at the start of what follows a series, ignoring a time stamp and an exemplar.

    Raises BadLineError when there is no number or something else follows it.
    """
    if b"_" not in rest:  # Python's float() takes 1_000, the format does not
        try:
            return float(rest)
        except ValueError:
            pass  # more than a value, or no value
    if openmetrics:
        rest = rest.partition(b" # ")[0]
    tokens = rest.split()
    if not 1 <= len(tokens) <= 2 or b"_" in rest:
        raise BadLineError("no value")
    try:
        numbers = [float(token) for token in tokens]
    except ValueError:
        raise BadLineError("no number") from None
    return numbers[0]
