"""The journal outward: how far each export has come, and the indexes by which the journal is searched."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

# Names stand in the values alone, and are found by an index on them: it goes with the value when that is erased, and nothing is
# copied. A value that is no JSON for PostgreSQL (it refuses the escapes of NUL and of half characters) has no words, since an
# index must not keep a record from being written.
_WORDS = """
CREATE FUNCTION audit_words(value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    held jsonb;
BEGIN
    held := value::jsonb;  -- not in its declaration, whose errors are not caught
    RETURN lower(concat_ws(' ', held #>> '{actor,login}', held #>> '{actor,name}', held #>> '{subject,label}',
        held #>> '{detail,operation}'));
EXCEPTION WHEN data_exception THEN
    RETURN '';
END
$$
"""
# A sensitive read of several employees is one record, which names them in its detail.
_EMPLOYEES = """
CREATE FUNCTION audit_employees(value text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
BEGIN
    RETURN ARRAY(SELECT jsonb_path_query(value::jsonb, 'lax $.detail.employees[*].id') #>> '{}');
EXCEPTION WHEN data_exception THEN
    RETURN '{}';
END
$$
"""


def upgrade() -> None:
    """The application counts up its cursors, so it keeps the rights that default privileges give."""
    op.create_table(
        "audit_export",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.Text()),
        sa.Column("settings", sa.Text()),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.Column("failed_at", sa.DateTime(timezone=True)),
        sa.Column("failure", sa.Text()),
        sa.PrimaryKeyConstraint("name", name="pk_audit_export"),
    )
    op.create_table(
        "audit_export_cursor",
        sa.Column("export", sa.Text(), nullable=False),
        sa.Column("chain_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("export", "chain_id", name="pk_audit_export_cursor"),
    )
    op.execute(_WORDS)
    op.execute(_EMPLOYEES)
    op.create_index(
        "ix_audit_value_words",
        "audit_value",
        [sa.text("audit_words(value) gin_trgm_ops")],
        postgresql_using="gin",
    )
    op.create_index(
        "ix_audit_value_employees",
        "audit_value",
        [sa.text("audit_employees(value)")],
        postgresql_using="gin",
        postgresql_where=sa.text("value LIKE '%\"employees\":%'"),
    )
    op.create_index(
        "ix_audit_record_event_type_at_chain_id_seq",
        "audit_record",
        ["event_type", "at", "chain_id", "seq"],
    )
    op.create_index(
        "ix_audit_record_team_at_chain_id_seq",
        "audit_record",
        ["team", "at", "chain_id", "seq"],
        postgresql_where=sa.text("team IS NOT NULL"),
    )
    # most commands succeed, and nobody looks for those by their outcome alone
    op.create_index(
        "ix_audit_record_outcome_at_chain_id_seq",
        "audit_record",
        ["outcome", "at", "chain_id", "seq"],
        postgresql_where=sa.text("outcome IN ('failed', 'unknown')"),
    )
