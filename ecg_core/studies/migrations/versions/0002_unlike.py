"""The worklist says which recordings are unlike those that the model learned from."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; it is filled when a study is analysed or opened again."""
    op.add_column("study", sa.Column("unlike_pct", sa.Double(), nullable=True))
