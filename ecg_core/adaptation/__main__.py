"""``python -m ecg_core.adaptation FOLDER``: work on an adaptation in a process of its own; the dashboard starts it."""

import sys
from pathlib import Path

from .running import run
from .task import find

if __name__ == "__main__":
    place = Path(sys.argv[1])
    run(find(place.name, folder=place.parent))
