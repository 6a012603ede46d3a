"""The two files of a daemon that polls given servers every second: its configuration, and its database's address."""

from __future__ import annotations

from pathlib import Path

_CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: {evaluation_s}s}}
gpu: {{nvml: "off"}}
web: {{listen_address: "{own}:0"}}
storage: {{url_file: dsn}}
scrape_configs:
  - job_name: {job}
    static_configs: [{{targets: [{targets}]}}]
"""


def write_files(
    folder: Path, url: str, *addresses: str, job: str = "played", evaluation_s: int = 2, own: str = "127.0.0.1"
) -> None:
    """Writes `dsn` and `config.yaml` into the folder; `addresses` are host and port, `own` is where it listens."""
    targets = ", ".join(f'"{address}"' for address in addresses)
    (folder / "dsn").write_text(url)
    text = _CONFIG.format(targets=targets, job=job, evaluation_s=evaluation_s, own=own)
    (folder / "config.yaml").write_text(text)
