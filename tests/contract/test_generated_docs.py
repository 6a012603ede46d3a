"""The generated documents in deploy/ are what the code says, and the code says something about everything."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from collector.cli import commands
from collector.cli.docs import commands_markdown
from collector.export.alert_rules import read_rules, shipped_rules
from collector.export.alerts_page import alerts_markdown
from collector.export.catalogue import CATALOGUE
from collector.export.docs import LABELS, made, metrics_markdown
from collector.export.kept_series import KEPT
from collector.settings.docs import config_markdown
from collector.settings.model import Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("name", "text"), made().items())
def test_the_file_is_what_the_code_makes(name: str, text: str) -> None:
    """Else run `python -m collector.export.docs deploy`."""
    assert (ROOT / "deploy" / name).read_text(encoding="utf-8") == text


def test_the_command_writes_all_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "collector.export.docs"]
    done = subprocess.run([*command, tmp_path], cwd=ROOT, capture_output=True, text=True)
    refused = subprocess.run([*command, tmp_path / "absent"], cwd=ROOT, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == made()
    assert (refused.returncode, refused.stderr) == (1, "usage: python -m collector.export.docs FOLDER\n")


def test_commands_md_is_what_the_commands_say() -> None:
    """Else run `make docs`."""
    assert (ROOT / "deploy" / "COMMANDS.md").read_text(encoding="utf-8") == commands_markdown()


def test_every_command_has_its_section_and_every_option_says_what_it_does() -> None:
    def all_of(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for part in command.list_commands(context):
                below = command.get_command(context, part)
                assert below is not None, part
                yield from all_of(below, f"{name} {part}")
        else:
            yield name, command

    found = dict(all_of(commands, "breakeven"))
    document = commands_markdown()

    assert set(re.findall(r"^## (.*)$", document, re.MULTILINE)) == found.keys()
    for name, command in found.items():
        section = document.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for option in [one for one in command.params if isinstance(one, click.Option)]:
            assert option.help, f"{name} {option.name}"
            assert all(text in section for text in option.opts), f"{name} {option.name}"


def test_the_readme_names_every_command_that_does_something() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    names = re.findall(r"^## (.*)$", commands_markdown(), re.MULTILINE)
    unnamed = [name for name in names if f"`{name}" not in readme and f"`{name.partition(' ')[2]}" not in readme]

    assert unnamed == ["breakeven version"]


def test_alerts_md_has_a_row_for_every_rule_and_says_which_are_replayed() -> None:
    document, rules = alerts_markdown(), read_rules(shipped_rules())
    recorded = [rule["record"] for group in rules.groups for rule in group["rules"] if "record" in rule]

    assert len(re.findall(r"^\| \[`\w+`", document, re.MULTILINE)) == len(rules.alerts)
    assert document.count("| yes |") == len([one for one in rules.alerts if one.metrics <= KEPT])
    assert all(f"| `{name}` |" in document for name in recorded)
    assert "{{" not in document


def test_every_metric_has_one_row_with_its_type_and_labels() -> None:
    rows = re.findall(r"^\| `(breakeven_\w+)` \| ([a-z]+)[^|]* \| ([^|]*) \|", metrics_markdown(), re.MULTILINE)

    assert {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows} == {
        metric.name: ("counter" if metric.kind == "counter" else "gauge", metric.labels) for metric in CATALOGUE
    }
    assert len(rows) == len(CATALOGUE)


def test_every_label_is_explained_and_no_other() -> None:
    assert LABELS.keys() == {label for metric in CATALOGUE for label in metric.labels}


def _keys(document: str) -> dict[str, dict[str, tuple[str, str, str]]]:
    """Section -> key -> (type, default, description)."""
    found: dict[str, dict[str, tuple[str, str, str]]] = {}
    for part in document.split("\n## ")[1:]:
        title, _, body = part.partition("\n")
        rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \|$", body, re.MULTILINE)
        found[title.strip("`")] = {key: (kind, default, text) for key, kind, default, text in rows}
    return found


def test_config_md_gives_types_units_and_defaults_as_they_are_written() -> None:
    keys = _keys(config_markdown())

    assert keys["global"]["scrape_interval"] == ("duration", "`15s`", "Distance between two polls of a target.")
    assert keys["analysis"]["history"][:2] == ("duration", "`7d`")
    assert keys["analysis"]["min_coverage"][:2] == ("ratio", "`0.5`")
    assert keys["scrape_configs[]"]["body_size_limit"][:2] == ("size", "`10MB`")
    assert keys["scrape_configs[]"]["scrape_timeout"][:2] == ("duration", "none")
    assert keys["scrape_configs[]"]["scheme"][:2] == ("`http` or `https`", "`http`")
    assert keys["scrape_configs[]"]["name_filter"][:2] == ("`true` or `false`", "`true`")
    assert keys["scrape_configs[].basic_auth"]["password"][:2] == ("secret", "none")
    assert keys["deployments[]"]["weight_bits"][:2] == ("number, more than 0, to 32", "none")
    assert keys["deployments[].price"]["date"][:2] == ("date", "required")
    assert keys["deployments[].quality.NAME"]["result"][:2] == ("`pass` or `fail` or `pending`", "required")


def test_config_md_shows_defaults_that_the_settings_take() -> None:
    """A default in the file, written into a configuration, changes nothing."""
    keys = _keys(config_markdown())
    for section in ("global", "storage.retention", "analysis", "web", "gpu", "log"):
        stated = {key: default.strip("`") for key, (_, default, _) in keys[section].items() if default != "none"}
        settings: Any = dict(stated)
        if section == "analysis":
            settings["min_coverage"] = float(settings["min_coverage"])
        for name in reversed(section.split(".")):
            settings = {name: settings}

        assert Settings.model_validate(settings) == Settings.model_validate({})


def test_every_link_of_config_md_leads_to_a_section() -> None:
    document = config_markdown()
    anchors = {re.sub(r"[^\w-]", "", title.lower()) for title in re.findall(r"^## (.+)$", document, re.MULTILINE)}
    links = set(re.findall(r"\]\(#([^)]*)\)", document))

    assert links
    assert links <= anchors
    assert len(anchors) == document.count("\n## ")
