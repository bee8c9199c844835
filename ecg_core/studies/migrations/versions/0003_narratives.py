"""The audit trail states keyed hashes of what was written; the words are kept with the study, and go with it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; entries of earlier versions stay as they are, with the words in them."""
    op.add_column("study", sa.Column("narratives", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("study", sa.Column("notes_key", sa.String(), nullable=False, server_default=""))
