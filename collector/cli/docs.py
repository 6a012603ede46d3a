"""The commands' own help -> COMMANDS.md; `python -m collector.cli.docs FILE` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from collector.cli import commands
from collector.cli.files import write_file

INTRODUCTION = """\
# Commands

Made from the commands themselves by `python -m collector.cli.docs deploy/COMMANDS.md`; a test compares the two.

Exit codes: 0 ok, 1 failure, 2 usage or configuration. A mistake is one clear line on standard error; what a command
prints is on standard output, and `--json` is there where a script would want it. `--help` works everywhere.
"""


def commands_markdown() -> str:
    """COMMANDS.md as a whole, ending in a newline."""
    sections = sorted(_sections(commands, click.Context(commands, info_name="breakeven")))
    index = [f"- [`{name}`](#{name.replace(' ', '-')}): {short}" for name, short, _ in sections]
    return "\n".join([INTRODUCTION, *index, "", *(text for _, _, text in sections)])


def _sections(command: click.Command, context: click.Context) -> Iterator[tuple[str, str, str]]:
    """(the whole name, one line, the section) of every command that does something."""
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _sections(below, click.Context(below, info_name=name, parent=context))
        return
    name = context.command_path
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    text = [f"## {name}\n", f"    {usage}\n", *(f"{_joined(one)}\n" for one in (command.help or "").split("\n\n"))]
    rows = [record for one in command.get_params(context) if (record := one.get_help_record(context)) is not None]
    rows = [(what, does) for what, does in rows if does and not what.endswith("--help")]
    if rows:
        text += ["| option | does |", "|---|---|", *(f"| `{_cell(what)}` | {_cell(does)} |" for what, does in rows), ""]
    yield name, _joined((command.help or "").split("\n\n")[0]), "\n".join(text)


def _joined(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _joined(text).replace("|", "\\|")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m collector.cli.docs FILE")
    write_file(Path(sys.argv[1]), commands_markdown())
