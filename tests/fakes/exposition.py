"""prometheus_client's parsers as the oracle for ours, and pages made up by hypothesis."""

from __future__ import annotations

from math import isnan

from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

Rows = list[tuple[str, tuple[tuple[str, str], ...], float]]


def rows(samples: object) -> Rows:
    """Samples of either parser as sorted, comparable rows; NaN left out."""
    return sorted(
        (sample.name, tuple(sorted(sample.labels.items())), float(sample.value))
        for sample in samples  # type: ignore[attr-defined]
        if not isnan(sample.value)
    )


def oracle_rows(text: str, openmetrics: bool) -> Rows:
    """What prometheus_client reads on a page, with the names as they stand there.

    Its text parser adds `_total` to the samples of a counter that was declared without it; undone here.
    Its OpenMetrics parser knows no comments but its own; ours stand at the top of captured pages, so they are cut.
    """
    if openmetrics:
        lines = text.split("\n")
        known = ("# HELP ", "# TYPE ", "# UNIT ", "# EOF")
        text = "\n".join(line for line in lines if not line.startswith("#") or line.startswith(known))
        return rows(sample for family in openmetrics_families(text) for sample in family.samples)
    found = []
    for family in text_families(text):
        undeclared = family.type == "counter" and f"# TYPE {family.name} counter" in text
        for sample in family.samples:
            name = sample.name.removesuffix("_total") if undeclared else sample.name
            found.append(sample._replace(name=name))
    return rows(found)


NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,12}", fullmatch=True).filter(lambda name: not name.endswith("_total"))
LABEL_NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True).filter(lambda name: name[:2] != "__")
LABEL_VALUES = st.text(
    st.one_of(
        st.sampled_from('\\"n ,={}#é€\n\t'),
        st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs")),
    ),
    max_size=12,
)
VALUES = st.one_of(
    st.floats().map(repr),
    st.integers(-(10**15), 10**15).map(str),
    st.sampled_from(["+Inf", "-Inf", "NaN", "1e3", "1.5E+06", "0", "-0"]),
)
BLANKS = st.sampled_from(["", "", " ", "\t", "  "])


def escaped(value: str) -> str:
    """A label value as it stands between quotes."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@st.composite
def sample_lines(draw: st.DrawFn) -> tuple[str, tuple[tuple[str, str], ...], str]:
    """A text line with its name and labels, spaced as the format allows."""
    name = draw(NAMES)
    labels = draw(st.dictionaries(LABEL_NAMES, LABEL_VALUES, max_size=4))
    between = draw(st.sampled_from([" ", "  ", "\t"]))
    stamp = draw(st.sampled_from(["", "", " 1700000000000"]))
    value = draw(VALUES)
    if not labels:
        return name, (), f"{name}{between}{value}{stamp}"
    terms = [f'{draw(BLANKS)}{key}{draw(BLANKS)}={draw(BLANKS)}"{escaped(text)}"' for key, text in labels.items()]
    comma = draw(st.sampled_from(["", ","]))
    inside = f"{draw(BLANKS)},".join(terms) + comma
    return name, tuple(sorted(labels.items())), f"{name}{draw(BLANKS)}{{{inside}}} {value}{stamp}"


@st.composite
def text_pages(draw: st.DrawFn) -> str:
    """A text page of distinct series, some of them declared, with comments and blank lines between."""
    lines = []
    seen = set()
    declared = set()
    for name, labels, line in draw(st.lists(sample_lines(), min_size=1, max_size=8)):
        if (name, labels) in seen:
            continue
        seen.add((name, labels))
        extra = draw(st.sampled_from(["", "", "comment", "blank", "type"]))
        if extra == "comment":
            lines.append(
                draw(st.sampled_from(["# HELP x y", "# just words", "#", "# TYPE"])).replace("# TYPE", "#TYPE")
            )
        elif extra == "blank":
            lines.append("")
        elif extra == "type" and name not in declared:
            declared.add(name)
            lines.append(f"# TYPE {name} {draw(st.sampled_from(['gauge', 'untyped', 'counter']))}")
        lines.append(line)
    return "\n".join(lines) + "\n"
