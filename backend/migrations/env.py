"""Alembic's entry: runs the revisions on the connection that `upgrade` hands over."""

from alembic import context

from backend.migrations.upgrade import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
