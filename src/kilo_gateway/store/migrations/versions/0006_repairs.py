"""How requests had to be repaired before they were sent."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("usage", sa.Column("repairs", sa.String(400), nullable=False, server_default=""))
