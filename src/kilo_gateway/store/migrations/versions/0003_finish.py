"""Why answers ended, and whether the model could have called tools."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("usage", sa.Column("finish", sa.String(20), nullable=False, server_default=""))
    op.add_column("usage", sa.Column("native_finish", sa.String(60), nullable=False, server_default=""))
    op.add_column("usage", sa.Column("has_tools", sa.Boolean, nullable=False, server_default=sa.false()))
