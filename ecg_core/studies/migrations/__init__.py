"""How the tables of the store changed from version to version; the first version is ``0001``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection

REVISIONS: Final = ("0001", "0002", "0003")  # in their order; one file each in ``versions``
HEAD: Final = REVISIONS[-1]
SCRIPTS: Final = Path(__file__).parent


def upgrade(connection: Connection, to: str = HEAD) -> None:
    """Bring the tables behind a connection to a revision, in its transaction."""
    from alembic import command  # noqa: PLC0415, as it takes a fifth of a second and is seldom needed
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))  # as a configuration file writes it
    config.attributes["connection"] = connection
    command.upgrade(config, to)
