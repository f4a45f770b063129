"""Which decisions were made, by rights and by what conditions asked of the row; of no person."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Creates the tables; the default privileges let the application add, count up and delete what is old."""
    op.create_table(
        "policy_decided",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("rights", JSONB(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("things", ARRAY(sa.Text()), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("facts", JSONB(), nullable=False),
        sa.Column("last_hour", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_policy_decided"),
    )
    op.create_index("ix_policy_decided_last_hour", "policy_decided", ["last_hour"])
    op.create_table(
        "policy_decision_count",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("decisions", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "key", name="pk_policy_decision_count"),
        sa.ForeignKeyConstraint(
            ["key"], ["policy_decided.key"], ondelete="CASCADE", name="fk_policy_decision_count_key"
        ),
    )
    # Each flush counts up the rows of this hour: with room in the page that touches no index
    op.execute("ALTER TABLE policy_decision_count SET (fillfactor = 80)")
    op.create_index("ix_policy_decision_count_key", "policy_decision_count", ["key"])
