"""Run the command line: ``python -m ecg_core analyze RECORD``."""

from __future__ import annotations

from .cli.main import run

if __name__ == "__main__":
    run()
