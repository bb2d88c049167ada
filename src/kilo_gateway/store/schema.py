"""The tables. Times are Unix milliseconds, money nano-USD. Changed together with a migration."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, false

from kilo_gateway.core.price import KINDS

metadata = MetaData()

keys = Table(
    "keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("role", String(20), nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("hint", String(8), nullable=False),  # the last four characters
    Column("created_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
)

usage = Table(
    "usage",
    metadata,
    Column("id", String(40), primary_key=True),  # sorts by time
    Column("upstream_id", String(200), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("key_id", String(40), nullable=False),
    Column("model", String(200), nullable=False),
    Column("provider", String(100), nullable=False),
    Column("status", String(20), nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("is_estimated", Boolean, nullable=False),
    Column("cost_nanos", BigInteger),  # null: no price was known
    Column("attempts", Integer, nullable=False),
    Column("duration_us", BigInteger, nullable=False),
    Column("first_us", BigInteger, nullable=False, server_default="-1"),  # to a stream's first event
    Column("down", String(400), nullable=False, server_default=""),  # providers that failed, with spaces between
    *(Column(kind, BigInteger, nullable=False, server_default="0") for kind in KINDS),
    Column("repriced_ms", BigInteger),  # when a price became known that was not known at first
    Column("finish", String(20), nullable=False, server_default=""),  # stop length tool_calls content_filter error
    Column("native_finish", String(60), nullable=False, server_default=""),
    Column("has_tools", Boolean, nullable=False, server_default=false()),  # was the model free to call some
    Column("client", String(4000), nullable=False, server_default=""),  # what it said of itself, a JSON object
    Column("audio_ms", BigInteger, nullable=False, server_default="0"),  # of audio that was heard
    Column("repairs", String(400), nullable=False, server_default=""),  # of the request: "kind=count", with spaces between
    sqlite_with_rowid=False,
)
_is_unpriced = usage.c.cost_nanos.is_(None)
Index("usage_unpriced", usage.c.id, sqlite_where=_is_unpriced, postgresql_where=_is_unpriced)
_there_is_one = usage.c.upstream_id != ""
Index("usage_upstream_id", usage.c.upstream_id, sqlite_where=_there_is_one, postgresql_where=_there_is_one)

journal_positions = Table(
    "journal_positions",
    metadata,
    Column("worker", String(100), primary_key=True),
    Column("file", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),  # everything before it is in `usage`
    Column("is_closed", Boolean, nullable=False),  # the worker is dead and nothing is left to read
)
