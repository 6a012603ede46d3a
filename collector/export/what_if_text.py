"""A deployment as it is and as it would be, as a terminal prints it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from collector.export.text import print_deployment
from collector.export.words import WORDS

Plain = Mapping[str, Any]


def print_what_if(before: Plain, after: Plain, console: Console) -> None:
    """The deployment as it would be, and each scheme's verdict before and after; neither waits for the dwell."""
    if after["simulated"]:
        console.print(Text("Simulated: no server of yours was measured, the step costs are assumptions.", "yellow"))
    console.print(Text("As it would be", "bold"))
    print_deployment(after, console)
    console.print()
    console.print(Text("Verdicts, as it is -> as it would be", "bold"))
    former = {one["scheme"]: one["judged"]["verdict"] for one in before["schemes"]}
    for one in after["schemes"]:
        was = former.get(one["scheme"])
        word, style = WORDS[one["judged"]["verdict"]]
        line = Text(f"  {one['scheme']:<11} {'not asked' if was is None else WORDS[was][0]} -> ")
        line.append(word, style)
        console.print(line)
