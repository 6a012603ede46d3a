"""Rows and named figures of numbers, held as numbers: as objects, a thousand replicas' take five times the memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import isnan, nan
from typing import TypeVar, overload

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


class Rows(Sequence[T]):
    """Equal to the tuple of `kind(*figures)` of each row; a row is made when it is asked for."""

    __slots__ = ("_numbers", "_width", "kind")

    def __init__(self, kind: Callable[..., T], rows: Iterable[Sequence[float | None]] | NDArray[np.float64]) -> None:
        """`rows` are equally long; None may stand in them, not a number may not. In an array it stands for None."""
        self.kind = kind
        if isinstance(rows, np.ndarray):
            self._width: int = rows.shape[1]
            numbers: list[float] = rows.ravel().tolist()
        else:
            held = list(rows)
            self._width = len(held[0]) if held else 1
            numbers = [nan if one is None else one for row in held for one in row]
        # Of a list, whose length is known, an array takes no more than it needs.
        self._numbers = array("d", numbers)

    def __len__(self) -> int:
        return len(self._numbers) // self._width

    def __iter__(self) -> Iterator[T]:
        return map(self._row, range(len(self)))

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[T]: ...
    def __getitem__(self, at: int | slice) -> T | Sequence[T]:
        places = range(len(self))[at]
        return self._row(places) if isinstance(places, int) else tuple(map(self._row, places))

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (Rows, tuple)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def figures(self) -> list[float | None]:
        """What the rows were given as, one row after another: quicker than to make the rows."""
        return [None if one != one else one for one in self._numbers]

    def _row(self, at: int) -> T:
        numbers = self._numbers[at * self._width : (at + 1) * self._width]
        return self.kind(*[None if isnan(one) else one for one in numbers])


class Figures(Mapping[str, float]):
    """Equal to the dict of those figures that are not None."""

    __slots__ = ("_names", "_numbers")

    def __init__(self, names: tuple[str, ...], figures: Iterable[float | None]) -> None:
        """`names` may be shared by many; there are as many figures, and None may be among them."""
        self._names = names
        self._numbers = array("d", [nan if one is None else one for one in figures])

    def __getitem__(self, name: str) -> float:
        if name in self._names:
            number = self._numbers[self._names.index(name)]
            if not isnan(number):
                return number
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, number in zip(self._names, self._numbers, strict=True) if not isnan(number))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def told(self) -> Iterator[tuple[str, float]]:
        """The items, found quicker than by name."""
        return ((name, number) for name, number in zip(self._names, self._numbers, strict=True) if number == number)

    def __repr__(self) -> str:
        return repr(dict(self))
