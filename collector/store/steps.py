"""Long work on the database, done one transaction at a time: samples can be written in between."""

from __future__ import annotations

from collections.abc import Generator
from typing import Generic, TypeVar

T = TypeVar("T")


class Steps(Generic[T]):
    """What a generator does between two of its yields, one step each; what it returns is the work's result."""

    def __init__(self, work: Generator[None, None, T]) -> None:
        """The result is never None."""
        self._work = work

    def step(self) -> T | None:
        """Do one; the result, once nothing is left to do. Raises what the work raises, which ends it."""
        try:
            next(self._work)
        except StopIteration as done:
            result: T = done.value
            return result
        return None

    def all(self) -> T:
        """Do what is left; the result. Raises what the work raises."""
        while (result := self.step()) is None:
            pass
        return result
