"""Records of figures held as numbers and shared words: as objects, a thousand replicas' take four times the memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from analyzer.evidence import Missing

T = TypeVar("T")

_Maker = Callable[[Iterator[float], Iterator[object]], Any]
_NUMBER, _WORD = "number", "word"


class Folded(Mapping[str, T]):
    """Equal to the dict of these values: frozen dataclasses of numbers, words, mappings, tuples and arrays of floats.

    A value is made when it is asked for; `part` makes no more than one of its fields.
    """

    __slots__ = ("_folds", "_names")

    def __init__(self, values: Mapping[str, T], kept: Sequence[object] = ()) -> None:
        """`kept` are records that stay as they are wherever a value holds them: something else holds them anyhow."""
        held = {id(one) for one in kept}
        self._names = _alike(tuple(values))
        self._folds = tuple(_folded(one, held) for one in values.values())

    def __getitem__(self, name: str) -> T:
        shape, numbers, words = self._fold(name)
        value: T = shape.make(iter(numbers), iter(words))
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))

    def part(self, name: str, path: tuple[str, ...]) -> Any:
        """As the function `part` has it."""
        shape, numbers, words = self._fold(name)
        make, number, word = shape.place(path)
        return make(iter(numbers[number:]), iter(words[word:]))

    def _fold(self, name: str) -> tuple[_Shape, array[float], tuple[object, ...]]:
        if name not in self._names:
            raise KeyError(name)
        return self._folds[self._names.index(name)]


def part(values: Mapping[str, Any], name: str, *path: str) -> Any:
    """A field of a field of one value; of a `Missing` value itself. Raises KeyError for a name that is not there."""
    if isinstance(values, Folded):
        return values.part(name, path)
    return _field(values[name], path)


def _field(value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, Missing):
        return value
    for one in path:
        value = getattr(value, one)
    return value


class _Shape:
    """How values of one form are made of their numbers and words: the same one for all that are alike."""

    __slots__ = ("_places", "kind", "make", "numbers", "parts", "words")

    def __init__(self, kind: Any, form: Any, parts: tuple[_Shape, ...]) -> None:
        self.kind = kind
        self.parts = parts
        own = int(np.prod(form)) if kind is np.ndarray else int(kind is _NUMBER)
        self.numbers: int = own + sum(one.numbers for one in parts)
        self.words: int = int(kind is _WORD) + sum(one.words for one in parts)
        self.make = _maker(kind, form, parts)
        self._places: dict[tuple[str, ...], tuple[_Maker, int, int]] = {}

    def place(self, path: tuple[str, ...]) -> tuple[_Maker, int, int]:
        """What makes the field at the end of the path, and where its numbers and words begin."""
        if path not in self._places:
            self._places[path] = self._found(path)
        return self._places[path]

    def _found(self, path: tuple[str, ...]) -> tuple[_Maker, int, int]:
        if not path or self.kind is Missing:
            return self.make, 0, 0
        if self.kind is _WORD:
            return (lambda _, words: _field(next(words), path)), 0, 0
        at = [one.name for one in fields(self.kind)].index(path[0])
        before = self.parts[:at]
        make, number, word = self.parts[at].place(path[1:])
        return make, number + sum(one.numbers for one in before), word + sum(one.words for one in before)


def _maker(kind: Any, form: Any, parts: tuple[_Shape, ...]) -> _Maker:
    makes = [one.make for one in parts]
    if kind is _NUMBER:
        return lambda numbers, _: next(numbers)
    if kind is _WORD:
        return lambda _, words: next(words)
    if kind is np.ndarray:
        count = int(np.prod(form))
        return lambda numbers, _: np.array([next(numbers) for _ in range(count)]).reshape(form)
    if kind is dict:
        return lambda numbers, words: dict(zip(form, [make(numbers, words) for make in makes], strict=True))
    if kind is tuple:
        return lambda numbers, words: tuple([make(numbers, words) for make in makes])
    return lambda numbers, words: kind(*[make(numbers, words) for make in makes])


def _folded(value: object, kept: set[int]) -> tuple[_Shape, array[float], tuple[object, ...]]:
    numbers: list[float] = []
    words: list[object] = []
    shape = _taken(value, kept, numbers, words)
    return shape, array("d", numbers), _alike(tuple(words))


def _taken(value: Any, kept: set[int], numbers: list[float], words: list[object]) -> _Shape:
    """The shape of a value, whose numbers and words are added to the others."""
    if isinstance(value, float):
        numbers.append(value)
        return _shape(_NUMBER, None, ())
    if id(value) not in kept:
        if isinstance(value, np.ndarray) and value.dtype == np.float64:
            numbers.extend(value.ravel().tolist())
            return _shape(np.ndarray, value.shape, ())
        if isinstance(value, Mapping):
            return _shape(dict, tuple(value), tuple(_taken(one, kept, numbers, words) for one in value.values()))
        if type(value) is tuple:
            return _shape(tuple, None, tuple(_taken(one, kept, numbers, words) for one in value))
        if is_dataclass(value):
            kind: Any = type(value)
            own = [getattr(value, one.name) for one in fields(kind)]
            return _shape(kind, None, tuple(_taken(one, kept, numbers, words) for one in own))
    words.append(value)
    return _shape(_WORD, None, ())


@lru_cache(maxsize=4096)
def _shape(kind: Any, form: Any, parts: tuple[_Shape, ...]) -> _Shape:
    return _Shape(kind, form, parts)


def _alike(words: tuple[Any, ...]) -> tuple[Any, ...]:
    """One tuple for all that hold the same words; itself where it holds what cannot be compared."""
    try:
        return _same(words, tuple(map(type, words)))
    except TypeError:
        return words


@lru_cache(maxsize=4096)
def _same(words: tuple[Any, ...], _: tuple[type, ...]) -> tuple[Any, ...]:
    return words
