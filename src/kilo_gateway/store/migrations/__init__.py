"""Alembic's scripts. Forward only."""
