"""RELIABILITY.md is what the marks of the tests say, and every mark is of a known fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import reliability
from tests.faults import FAULTS, NOT_PRODUCED
from tests.reliability import ROOT, reliability_markdown, shown_in, without_test


def test_reliability_md_is_what_the_marks_say() -> None:
    """Else run `make docs`."""
    assert (ROOT / "deploy" / "RELIABILITY.md").read_text(encoding="utf-8") == reliability_markdown()


def test_every_fault_has_a_test_or_a_sentence_that_says_why_not() -> None:
    assert without_test() == []


def test_a_fault_stands_once_and_a_reason_belongs_to_a_fault() -> None:
    faults = [fault for _, names in FAULTS.values() for fault in names]

    assert len(set(faults)) == len(faults)
    assert NOT_PRODUCED.keys() <= set(faults)


@pytest.mark.parametrize(
    "mark",
    [
        'fault("1", "an unheard-of fault", promise="none")',
        'fault("2", "a GPU is lost", promise="of another section")',
        'fault("1", "a GPU is lost")',
        'fault("1", "a GPU is lost", promise=NAME)',
    ],
)
def test_a_mark_that_names_no_fault_or_no_promise_is_refused(
    mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(f"@pytest.mark.{mark}\ndef test_it(): ...\n")
    monkeypatch.setattr(reliability, "ROOT", tmp_path)

    with pytest.raises(ValueError, match=r"test_it\.py:1: "):
        list(shown_in(path))
