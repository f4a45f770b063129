"""When a session last proved a second factor."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Adds the moment. The sessions there are have proven none."""
    op.add_column(
        "identity_session", sa.Column("second_factor_at", sa.DateTime(timezone=True), nullable=True)
    )
