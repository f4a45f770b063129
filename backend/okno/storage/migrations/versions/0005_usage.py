"""Which client used which part of the schema."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Creates the table of counts; the default privileges let the application add, count up and delete what is old."""
    op.create_table(
        "usage_count",
        sa.Column("coordinate", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("principal_kind", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("operations", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "coordinate", "day", "client", "version", "principal_kind", "principal", name="pk_usage_count"
        ),
    )
    # Each flush counts up the rows of today: with room in the page that touches no index
    op.execute("ALTER TABLE usage_count SET (fillfactor = 80)")
    op.create_index("ix_usage_count_day", "usage_count", ["day"])
