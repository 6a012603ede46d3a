"""The marks `fault` of all tests -> RELIABILITY.md; `python -m tests.reliability` writes it into deploy/."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults import FAULTS, NOT_PRODUCED

ROOT = Path(__file__).parents[1]
NOT_YET = "no test yet"
INTRODUCTION = """\
# Reliability

Made from the marks of the tests by `make docs`; a test compares the two.

What goes wrong around a daemon of this kind, what Breakeven promises then, and the test that produces the fault and
holds it to the promise. The words of a test are its name in the linked file. The driver is a `libnvidia-ml.so.1` made
in the tests and read by NVIDIA's own bindings; servers, databases, file systems, clocks and processes are real ones.
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """One promise about one fault, and the test that holds it."""

    section: str
    fault: str
    promise: str
    test: str
    file: str
    soak: bool


def shown_in(path: Path) -> Iterator[Shown]:
    """The marks of one test file. Raises ValueError for a mark that is not written out, or of an unknown fault."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    file = path.relative_to(ROOT).as_posix()
    whole = any(_is_mark(node, "soak") for node in tree.body if isinstance(node, ast.Assign) for node in [node.value])
    for function in ast.walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        nodes = [node for decorator in function.decorator_list for node in ast.walk(decorator)]
        soak = whole or any(_is_mark(node, "soak") for node in nodes)
        for call in nodes:
            if isinstance(call, ast.Call) and _is_mark(call.func, "fault"):
                yield _shown(call, function.name, file, soak)


def _is_mark(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node) == f"pytest.mark.{name}"


def _shown(call: ast.Call, test: str, file: str, soak: bool) -> Shown:
    place = f"{file}:{call.lineno}"
    try:
        section, fault = (ast.literal_eval(one) for one in call.args)
        ((name, promise),) = ((one.arg, ast.literal_eval(one.value)) for one in call.keywords)
    except ValueError:
        raise ValueError(f'{place}: write fault("SECTION", "fault", promise="...") in literals') from None
    if name != "promise" or fault not in FAULTS.get(section, ("", ()))[1]:
        raise ValueError(f"{place}: no fault {fault!r} in section {section!r} of tests/faults.py")
    return Shown(section, fault, promise, test, file, soak)


def all_shown() -> list[Shown]:
    """The marks of all tests, by file and line. Raises ValueError as `shown_in` does."""
    return [one for path in sorted((ROOT / "tests").rglob("test_*.py")) for one in shown_in(path)]


def without_test() -> list[str]:
    """Faults with neither a test nor a sentence that says why not."""
    faults = [fault for _, names in FAULTS.values() for fault in names]
    tested = {one.fault for one in all_shown()}
    return [fault for fault in faults if fault not in tested and fault not in NOT_PRODUCED]


def reliability_markdown() -> str:
    """RELIABILITY.md as a whole, ending in a newline."""
    return "\n".join((INTRODUCTION, *_sections(all_shown()))) + "\n"


def _sections(shown: list[Shown]) -> Iterator[str]:
    for number, (title, faults) in FAULTS.items():
        yield f"## {number}. {title}\n\n| fault | promise | test |\n|---|---|---|"
        for fault in faults:
            name = fault
            for one in (one for one in shown if one.fault == fault):
                words = one.test.removeprefix("test_").replace("_", " ")
                where = f"[{words}](../{one.file})" + (" (`make soak`)" if one.soak else "")
                yield f"| {name} | {_cell(one.promise)} | {where} |"
                name = ""
            if fault in NOT_PRODUCED:
                yield f"| {name} | not produced: {_cell(NOT_PRODUCED[fault])} | |"
            elif name:
                yield f"| {name} | {NOT_YET} | |"
        yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write deploy/RELIABILITY.md."""
    (ROOT / "deploy" / "RELIABILITY.md").write_text(reliability_markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()
