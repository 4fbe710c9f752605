"""What Alembic runs: the migrations, over the connection and in the transaction that `migrate` hands to it."""

from __future__ import annotations

from alembic import context

from seawall.storage.schema import metadata

# SQLite takes changes of tables back like any other change; Alembic doesn't count on it unless told.
context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True
)
with context.begin_transaction():
    context.run_migrations()
