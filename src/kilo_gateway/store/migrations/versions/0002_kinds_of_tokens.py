"""What tokens were, how soon a stream began, which endpoints failed before, and rows that were priced later."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

KINDS = (
    "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "input_audio_tokens", "cache_audio_tokens",
    "input_image_tokens", "reasoning_tokens", "output_audio_tokens", "output_image_tokens", "images", "web_searches",
)  # fmt: skip


def upgrade() -> None:
    op.add_column("usage", sa.Column("first_us", sa.BigInteger, nullable=False, server_default="-1"))
    op.add_column("usage", sa.Column("down", sa.String(400), nullable=False, server_default=""))
    for kind in KINDS:
        op.add_column("usage", sa.Column(kind, sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("usage", sa.Column("repriced_ms", sa.BigInteger))
    is_unpriced = sa.text("cost_nanos IS NULL")
    op.create_index("usage_unpriced", "usage", ["id"], sqlite_where=is_unpriced, postgresql_where=is_unpriced)
