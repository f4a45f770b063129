"""Who was erased and is not taken into the index again; of whom the index holds no more than who it is."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Adds the table of erasures and the mark of people whose data may not be copied here."""
    op.create_table(
        "privacy_erasure",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("bars_index", sa.Boolean(), nullable=False),
        sa.Column("known", sa.Text()),
        sa.Column("done", sa.Text(), nullable=False),
        sa.Column("accounts", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("intent", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("touched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("digest", name="pk_privacy_erasure"),
        sa.CheckConstraint(
            "(known IS NULL) = (finished_at IS NOT NULL)",
            name=op.f("ck_privacy_erasure_finished_knows_nothing"),
        ),
    )
    op.add_column(
        "people_person", sa.Column("resident", sa.Boolean(), nullable=False, server_default=sa.true())
    )
