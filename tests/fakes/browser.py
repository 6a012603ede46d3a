"""A real Chromium (Debian's) driven by Playwright: a page, and all that went wrong on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.fakes.tools import require

FLAGS = ("--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update")


@dataclass
class Seen:
    """A page, what its console and its scripts complained of, and the addresses that it asked."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window, ended with the block; the test is skipped loudly where there is none."""
    path = require("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=False, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, url: str, width: int = 1280, height: int = 900, *, dark: bool = False) -> Iterator[Seen]:
    """The page at `url` in a window of that many pixels, once its script has shown a first answer."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        locale="en-GB",
        timezone_id="UTC",
    )
    seen = Seen(context.new_page())
    seen.page.on("console", lambda one: seen.complaints.append(one.text) if one.type in ("error", "warning") else None)
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.on("request", lambda one: seen.asked.append(one.url))
    try:
        seen.page.goto(url)
        seen.page.locator("html:not([data-state=loading])").wait_for(state="attached", timeout=60_000)
        yield seen
    finally:
        context.close()


def serious(page: Page) -> list[tuple[str, Any]]:
    """What axe finds against WCAG 2 A and AA, serious or worse."""
    found = Axe().run(page).response["violations"]
    return [
        (one["id"], [node["html"][:200] for node in one["nodes"][:3]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
