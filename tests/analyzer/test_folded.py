"""Folded values are the dict of what was folded, whole and in parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.folded import Folded, part
from analyzer.report import as_plain


class Word(StrEnum):
    """Equal to a plain string, and yet another thing."""

    ONE = "one"


@dataclass(frozen=True, slots=True)
class Inner:
    """Figures that a record holds."""

    figure: Estimate | Missing
    told: Any


@dataclass(frozen=True, slots=True)
class Outer:
    """A record of all that can be folded."""

    first: float
    inner: Inner
    rows: tuple[Any, ...]
    named: Mapping[str, Any]
    last: Estimate | Missing


number = st.floats(allow_nan=False)
leaf = st.one_of(
    number,
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from(["one", "two", Word.ONE]),
    st.none(),
    st.frozensets(number),
)
tree = st.recursive(leaf, lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(), inner))
figure = st.one_of(
    st.builds(
        lambda figures, evidence, method: Estimate(figures[1], figures[0], figures[2], evidence, method),
        st.tuples(number, number, number).map(sorted),
        st.sampled_from(Evidence),
        st.sampled_from(["fit", "roofline"]),
    ),
    st.builds(Missing, st.text()),
)
record = st.builds(
    Outer,
    number,
    st.builds(Inner, figure, tree),
    st.lists(tree, max_size=3).map(tuple),
    st.dictionaries(st.text(), tree),
    figure,
)
values = st.dictionaries(st.text(), record | st.builds(Missing, st.text()), max_size=4)


def exact(value: Any) -> Any:
    """A value with the types of all that it holds: 1, 1.0, True and words that are equal are told apart."""
    if isinstance(value, Mapping):
        return {name: exact(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return tuple(map(exact, value))
    if hasattr(value, "__dataclass_fields__"):
        return type(value), tuple(exact(getattr(value, name)) for name in value.__dataclass_fields__)
    return type(value), value


@given(values)
def test_folded_values_are_the_dict_of_them(given_: dict[str, Any]) -> None:
    found = Folded(given_)

    assert found == given_
    assert (list(found), len(found)) == (list(given_), len(given_))
    assert exact(found) == exact(given_)
    assert as_plain(found) == as_plain(given_)


@given(values, st.sampled_from([(), ("first",), ("inner",), ("inner", "figure"), ("named",), ("last",)]))
def test_a_part_is_the_field_at_the_end_of_its_path(given_: dict[str, Any], path: tuple[str, ...]) -> None:
    """Of a missing value it is the value itself, and from a plain dict it is the same."""
    found = Folded(given_)
    for name in given_:
        assert exact(part(found, name, *path)) == exact(part(given_, name, *path))


def test_what_is_held_elsewhere_stays_the_very_same() -> None:
    shared = Inner(Missing("not told"), 1)
    found = Folded({"a": Inner(Missing("x"), shared), "b": Inner(Missing("y"), shared)}, [shared])

    assert found["a"].told is shared
    assert found["b"].told is shared
    assert part(found, "b", "told", "told") == 1


def test_what_is_missing_everywhere_for_one_reason_is_missing_in_every_part() -> None:
    why = Missing("no model")

    assert part(Folded({"a": why}, [why]), "a", "first", "inner") is why


def test_arrays_of_floats_come_back_in_their_shape() -> None:
    numbers = np.arange(6.0).reshape(2, 3)
    found = Folded({"a": Inner(Missing("x"), numbers)})["a"].told

    assert found.shape == (2, 3)
    assert found.tolist() == numbers.tolist()


def test_a_name_that_is_not_there_is_a_key_error() -> None:
    for values_ in ({"a": Missing("x")}, Folded({"a": Missing("x")})):
        with pytest.raises(KeyError):
            part(values_, "b")
        with pytest.raises(KeyError):
            values_["b"]
