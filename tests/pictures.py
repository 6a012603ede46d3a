"""Pictures of the page from the demo, into deploy/pictures: `python -m tests.pictures`."""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from tests.fakes.browser import chromium, opened
from tests.fakes.daemon_process import DaemonProcess, running

OUT = Path(__file__).parents[1] / "deploy" / "pictures"
DESKTOP, PHONE = (1280, 1500), (390, 1600)
QUALITY = 70
SHOTS = {
    "page": ("/", DESKTOP, False),
    "page-dark": ("/", DESKTOP, True),
    "page-phone": ("/", PHONE, False),
    "page-phone-dark": ("/", PHONE, True),
    "replica": ("/replica?id={id}", DESKTOP, False),
    "replica-phone": ("/replica?id={id}", PHONE, False),
}
"""Name, path, window and whether it is dark."""


def main(out: Path = OUT) -> None:
    """Runs the demo until its live figures are there, and takes every picture."""
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder), "demo", "--web.listen-address", "127.0.0.1:0") as daemon,
        chromium() as browser,
    ):
        first = daemon.until(lambda: _live(daemon), limit_s=120)
        for name, (path, size, dark) in SHOTS.items():
            with opened(browser, daemon.url + path.format(id=first), *size, dark=dark) as seen:
                seen.page.locator("canvas").first.wait_for()
                (out / f"{name}.webp").write_bytes(_webp(seen.page))
                sys.stdout.write(f"{out / name}.webp\n")


def _live(daemon: DaemonProcess) -> str | None:
    """The first replica's id once every replica has live figures."""
    replicas = daemon.json("/api/v1/overview").get("replicas", [])
    live = replicas and all("value" in one["prefill_marginal"] for one in replicas)
    return replicas[0]["id"] if live else None


def _webp(page: Page) -> bytes:
    session = page.context.new_cdp_session(page)
    taken = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    return base64.b64decode(taken["data"])


if __name__ == "__main__":
    main()
