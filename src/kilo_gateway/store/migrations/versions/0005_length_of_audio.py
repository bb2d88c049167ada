"""How long audio was, where that is what is charged for."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("usage", sa.Column("audio_ms", sa.BigInteger, nullable=False, server_default="0"))
