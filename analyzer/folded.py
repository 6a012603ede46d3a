"""Records of figures held as numbers and shared words: as objects, a thousand replicas' take four times the memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, lru_cache, partial
from typing import Any, TypeVar

import numpy as np

from analyzer.evidence import Missing

T = TypeVar("T")

_Maker = Callable[[Iterator[float], Iterator[object], Sequence[object]], Any]
_NUMBER, _WORD, _KEPT = "number", "word", "kept"


class Folded(Mapping[str, T]):
    """Equal to the dict of these values: frozen dataclasses of numbers, words, mappings, tuples and arrays of floats.

    A value is made when it is asked for; `part` makes no more than one of its fields.
    """

    __slots__ = ("_kept", "_numbers", "_shape", "_words")

    def __init__(self, values: Mapping[str, T], kept: Sequence[object] = ()) -> None:
        """`kept` are records that stay as they are wherever a value holds them: something else holds them anyhow."""
        numbers: list[float] = []
        words: list[object] = []
        self._kept = tuple(kept)
        self._shape = _taken(values, {id(one): at for at, one in enumerate(kept)}, numbers, words)
        self._numbers = array("d", numbers)
        self._words = _alike(tuple(words))

    def __getitem__(self, name: str) -> T:
        value: T = self.part(name, ())
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._shape.form)

    def __len__(self) -> int:
        return len(self._shape.form)

    def __repr__(self) -> str:
        return repr(dict(self))

    def part(self, name: str, path: tuple[str, ...]) -> Any:
        """As the function `part` has it."""
        make, numbers, words = self._shape.place((name, *path))
        return make(iter(self._numbers[numbers]), iter(self._words[words]), self._kept)


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

    __slots__ = ("_places", "form", "kind", "make", "numbers", "parts", "words")

    def __init__(self, kind: Any, form: Any, parts: tuple[_Shape, ...]) -> None:
        self.kind, self.form, self.parts = kind, form, parts
        own = int(np.prod(form)) if kind is np.ndarray else int(kind is _NUMBER)
        self.numbers: int = own + sum(one.numbers for one in parts)
        self.words: int = int(kind is _WORD) + sum(one.words for one in parts)
        self.make = _maker(kind, form, parts)
        self._places: dict[tuple[str, ...], tuple[_Maker, slice, slice]] = {}

    def place(self, path: tuple[str, ...]) -> tuple[_Maker, slice, slice]:
        """What makes the field at the end of the path, and of which numbers and words. Raises KeyError for no name."""
        found = self._places.get(path)
        if found is None:
            found = self._places[path] = self._found(path)
        return found

    def _found(self, path: tuple[str, ...]) -> tuple[_Maker, slice, slice]:
        if not path or self.kind is Missing:
            return self.make, slice(0, self.numbers), slice(0, self.words)
        if self.kind in (_WORD, _KEPT):
            return partial(_under, self.make, path), slice(0, 0), slice(0, self.words)
        names = self.form if self.kind is dict else _field_names(self.kind) or ()
        if path[0] not in names:
            raise KeyError(path[0])
        at = names.index(path[0])
        make, numbers, words = self.parts[at].place(path[1:])
        number, word = sum(one.numbers for one in self.parts[:at]), sum(one.words for one in self.parts[:at])
        return make, slice(number + numbers.start, number + numbers.stop), slice(word + words.start, word + words.stop)


def _maker(kind: Any, form: Any, parts: tuple[_Shape, ...]) -> _Maker:
    makes = [one.make for one in parts]
    if kind is _NUMBER:
        return lambda numbers, _, __: next(numbers)
    if kind is _WORD:
        return lambda _, words, __: next(words)
    if kind is _KEPT:
        return lambda _, __, kept: kept[form]
    if kind is np.ndarray:
        count = int(np.prod(form))
        return lambda numbers, _, __: np.array([next(numbers) for _ in range(count)]).reshape(form)
    if kind is dict:
        return lambda numbers, words, kept: dict(zip(form, [make(numbers, words, kept) for make in makes], strict=True))
    if kind is tuple:
        return lambda numbers, words, kept: tuple([make(numbers, words, kept) for make in makes])
    return lambda numbers, words, kept: kind(*[make(numbers, words, kept) for make in makes])


def _under(
    make: _Maker, path: tuple[str, ...], numbers: Iterator[float], words: Iterator[object], kept: Sequence[object]
) -> Any:
    return _field(make(numbers, words, kept), path)


def _taken(value: Any, kept: Mapping[int, int], numbers: list[float], words: list[object]) -> _Shape:
    """The shape of a value, whose numbers and words are added to the others."""
    if isinstance(value, float):
        numbers.append(value)
        return _shape(_NUMBER, None, ())
    if kept and id(value) in kept:
        return _shape(_KEPT, kept[id(value)], ())
    kind: Any = type(value)
    names = _field_names(kind)
    if names is not None:
        own = [getattr(value, name) for name in names]
        return _shape(kind, None, tuple([_taken(one, kept, numbers, words) for one in own]))
    if isinstance(value, np.ndarray) and value.dtype == np.float64:
        numbers.extend(value.ravel().tolist())
        return _shape(np.ndarray, value.shape, ())
    if kind is tuple:
        return _shape(tuple, None, tuple([_taken(one, kept, numbers, words) for one in value]))
    if isinstance(value, Mapping):
        return _shape(dict, tuple(value), tuple([_taken(one, kept, numbers, words) for one in value.values()]))
    words.append(value)
    return _shape(_WORD, None, ())


@cache
def _field_names(kind: Any) -> tuple[str, ...] | None:
    """A dataclass's; None for what is none."""
    return tuple(one.name for one in fields(kind)) if is_dataclass(kind) else None


@lru_cache(maxsize=4096)
def _shape(kind: Any, form: Any, parts: tuple[_Shape, ...]) -> _Shape:
    return _Shape(kind, form, parts)


def _alike(words: tuple[Any, ...]) -> tuple[Any, ...]:
    """One tuple for all that hold the same words; itself where it holds what cannot be compared."""
    try:
        return _same(words, tuple(map(type, words)))
    except TypeError:
        return words


@lru_cache(maxsize=256)
def _same(words: tuple[Any, ...], _: tuple[type, ...]) -> tuple[Any, ...]:
    return words
