"""What alembic runs: the migrations, on the connection that is given."""

from alembic import context

from ecg_core.studies.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
