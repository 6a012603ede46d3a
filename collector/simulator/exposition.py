"""Families of samples -> the text format, for the pages that are short enough to be written anew each time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.utils import floatToGoString

Labels = Mapping[str, str]
Sample = tuple[str, Labels, float]
"""Suffix of the family's name, labels, value."""
go_number: Callable[[float], str] = floatToGoString


def escape(text: str) -> str:
    """A label's value as it stands between quotes."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def family(
    name: str, kind: str, samples: Iterable[Sample], number: Callable[[float], str] = go_number, help_: str = ""
) -> str:
    """One metric's lines; without samples only its header, as prometheus_client writes it."""
    lines = [f"# HELP {name} {help_}\n" if help_ else "", f"# TYPE {name} {kind}\n"]
    for suffix, labels, value in samples:
        inner = ",".join(f'{label}="{escape(labels[label])}"' for label in sorted(labels))
        lines.append(f"{name}{suffix}{{{inner}}} {number(value)}\n" if inner else f"{name}{suffix} {number(value)}\n")
    return "".join(lines)


def summed(count: float, total: float, labels: Labels) -> list[Sample]:
    """A histogram of which only the last bucket is written out: the rest is not read by anybody."""
    return [("_bucket", {**labels, "le": "+Inf"}, count), ("_count", labels, count), ("_sum", labels, total)]
