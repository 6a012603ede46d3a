"""A machine's drift is told by like pieces of work, and by nothing else."""

from __future__ import annotations

import pytest

from tests.soak.drift import FEWEST_ALIKE, Piece, slowdown, steps_told

FITTED, HELD_OUT = (0.0, 100.0), (100.0, 200.0)


def pieces(span: tuple[float, float], kind: int, number: int, took_s: float) -> list[Piece]:
    return [Piece(span[0] + at, (kind,), took_s) for at in range(number)]


def test_another_mix_is_no_drift_and_longer_pieces_of_a_kind_are() -> None:
    """Long pieces (0.2 s) where short ones (0.1 s) were: none. All a tenth longer: (60 x 0.22 + 20 x 0.11) / 14."""
    before = pieces(FITTED, 1, 60, 0.1) + pieces(FITTED, 2, 20, 0.2)
    assert slowdown(before + pieces(HELD_OUT, 2, 60, 0.2), [FITTED], HELD_OUT) == pytest.approx((1.0, 1.0))
    slower = pieces(HELD_OUT, 1, 20, 0.11) + pieces(HELD_OUT, 2, 60, 0.22)
    assert slowdown(before + slower, [FITTED], HELD_OUT) == pytest.approx((1.1, 1.0))


def test_what_has_hardly_any_like_it_tells_nothing() -> None:
    """Of 1 + 9 s, the second's kind was met once too seldom."""
    before = pieces(FITTED, 1, FEWEST_ALIKE, 0.1) + pieces(FITTED, 2, FEWEST_ALIKE - 1, 0.1)
    after = pieces(HELD_OUT, 1, 5, 0.2) + pieces(HELD_OUT, 2, 9, 1.0)
    assert slowdown(before + after, [FITTED], HELD_OUT) == pytest.approx((2.0, 0.1))


def test_vllms_steps_are_done_by_the_first_look_that_finds_their_line() -> None:
    line = b"INFO [loggers.py:199] Engine 000: Iteration(%d): 1 context requests, 32 context tokens, "
    line += b"2 generation requests, 2 generation tokens, iteration elapsed time: 25.00 ms\n"
    first, other = line % 1, b"INFO something else\n"
    log = first + other + line % 2 + line % 3
    sizes = [(5.0, 0), (10.0, len(first)), (15.0, len(log) - 1), (20.0, len(log))]
    assert steps_told(log, sizes) == [Piece(at_s, (32, 2), 0.025) for at_s in (10.0, 15.0, 20.0)]
