"""Run by Alembic, on the connection that store/database.py hands in."""

from alembic import context

from kilo_gateway.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
