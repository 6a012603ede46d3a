"""`python -m collector` is the command `breakeven`."""

from __future__ import annotations

from collector.cli import main

if __name__ == "__main__":
    main()
