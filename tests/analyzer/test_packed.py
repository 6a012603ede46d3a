"""Packed rows and figures are what they stand for: tuples of rows, dicts of those figures that are told."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from analyzer.packed import Figures, Rows
from analyzer.report import as_plain

number = st.floats(allow_nan=False)
FIGURE = st.none() | number


@dataclass(frozen=True, slots=True)
class Row:
    """One row of two figures."""

    first: float
    second: float | None


@given(st.lists(st.tuples(number, FIGURE)))
def test_rows_are_the_tuple_of_their_rows(figures: list[tuple[float, float | None]]) -> None:
    expected = tuple(Row(*row) for row in figures)
    found = Rows(Row, figures)

    assert (found, len(found), hash(found)) == (expected, len(expected), hash(expected))
    assert [*found] == [*expected] == [found[at] for at in range(len(found))]
    assert found[1:] == expected[1:]
    assert found[-1:] == expected[-1:]
    assert as_plain(found) == as_plain(expected)


@given(st.dictionaries(st.text(), FIGURE))
def test_figures_are_the_dict_of_those_that_are_told(figures: dict[str, float | None]) -> None:
    expected = {name: value for name, value in figures.items() if value is not None}
    found = Figures(tuple(figures), figures.values())

    assert found == expected
    assert [*found.items()] == [*expected.items()]
    assert (len(found), found.get("not there")) == (len(expected), expected.get("not there"))
    assert [name in found for name in figures] == [name in expected for name in figures]
    assert as_plain(found) == as_plain(expected)
