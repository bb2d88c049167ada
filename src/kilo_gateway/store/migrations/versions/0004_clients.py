"""What clients said of themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("usage", sa.Column("client", sa.String(4000), nullable=False, server_default=""))
