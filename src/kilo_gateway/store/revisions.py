"""Which versions of the schema there are. Apart from database.py, which takes long to import."""

from pathlib import Path

MIGRATIONS = Path(__file__).with_name("migrations")


def newest() -> str:
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("0*.py"))
