"""What is left of the limits to those who ask, and failed sign-ins."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Creates the two tables; the default privileges let the application read and write them.

    Allowances are unlogged: a write in the log for each would be the dearest part of a limit, and after a crash everybody
    simply has the whole of it again. Failed sign-ins are logged, or a crash would end every lock.
    """
    op.create_table(
        "limits_allowance",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("remaining", sa.Float(), nullable=False),
        sa.Column("granted", sa.Float(), nullable=False),
        sa.Column("refilled_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", "who", name="pk_limits_allowance"),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_limits_allowance_refilled_at", "limits_allowance", ["refilled_at"])
    op.create_table(
        "limits_attempt",
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("free_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("login", "address", name="pk_limits_attempt"),
    )
    op.create_index("ix_limits_attempt_failed_at", "limits_attempt", ["failed_at"])
