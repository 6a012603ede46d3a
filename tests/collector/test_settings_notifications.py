"""Receivers in the configuration: every mistake at once with its place and remedy, and never the address itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.cli.configured import configured
from collector.cli.doctor import _receivers
from collector.errors import ConfigError
from collector.settings.load import parse_settings

BROKEN = """\
notifications:
  - {name: a, kind: email, url: "https://h/canary"}
  - {name: b, kind: slack}
  - {name: b, kind: slack, url: "https://h/canary", url_file: f}
  - {name: "no space", kind: webhook, url: "ftp://h/canary"}
  - {name: d, kind: webhook, url: "https://anna:canary@h/"}
  - {name: e, kind: webhook, url: "https://h/canary", verdicts: [maybe]}
  - {name: f, kind: webhook, url: "https://h/canary", basic_auth: {username: a, password: canary},
     authorization: {credentials: canary}}
  - {name: g, kind: slack, url: "https://h/canary", channel: general}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_settings(text, "c.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_every_mistake_of_every_receiver_is_named_with_its_line_and_no_address() -> None:
    found = problems(BROKEN)

    assert [one.split(": ")[0] for one in found] == [
        "c.yaml:2 notifications[0].kind",
        "c.yaml:3 notifications[1]",
        "c.yaml:4 notifications[2].name",
        "c.yaml:4 notifications[2]",
        "c.yaml:5 notifications[3].name",
        "c.yaml:5 notifications[3].url",
        "c.yaml:6 notifications[4].url",
        "c.yaml:7 notifications[5].verdicts[0]",
        "c.yaml:8 notifications[6]",
        "c.yaml:10 notifications[7].channel",
    ]
    assert "state exactly one of url and url_file" in found[1]
    assert "give each its own name" in "".join(found[2:4])
    assert "no credentials before it" in found[6]
    assert "canary" not in "".join(found)


@pytest.mark.parametrize(
    "url", ["https://", "h/x", "http://h:0/", "http://h:x/", "http://h/a b", "http://h/\u00e9", "//h"]
)
def test_what_nothing_can_be_posted_to_is_refused(url: str) -> None:
    (found,) = problems(f'notifications: [{{name: a, kind: slack, url: "{url}"}}]\n')

    assert "no address to post to; write http:// or https://" in found
    assert url == "https://" or url not in found


def test_nobody_is_told_by_default_and_an_empty_list_is_none() -> None:
    assert parse_settings("notifications:\n", "c.yaml").notifications == ()
    assert parse_settings("", "c.yaml").notifications == ()


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), ("canary without scheme", "holds no address to post to")]
)
def test_doctor_names_a_file_without_an_address(tmp_path: Path, content: str | None, said: str) -> None:
    file, url = tmp_path / "c.yaml", tmp_path / "url"
    file.write_text(
        f"notifications: [{{name: a, kind: slack, url_file: {url}}}, {{name: b, kind: slack, url: 'http://h'}}]\n"
    )
    if content is not None:
        url.write_text(content)
    told = {one.about: one for one in _receivers(configured(file))}

    assert (told["notifications a"].level, told["notifications b"].level) == ("fail", "ok")
    assert said in told["notifications a"].text
    assert "canary" not in told["notifications a"].text
