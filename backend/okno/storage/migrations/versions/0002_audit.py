"""The journal. The application may add records and never change or remove one."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Creates the tables, then takes back what the default privileges gave on them."""
    op.create_table(
        "audit_record",
        sa.Column("chain_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text()),
        sa.Column("actor_id", sa.Uuid()),
        sa.Column("actor_kind", sa.Text()),
        sa.Column("subject_kind", sa.Text()),
        sa.Column("subject_id", sa.Text()),
        sa.Column("refers_chain_id", sa.Uuid()),
        sa.Column("refers_seq", sa.BigInteger()),
        sa.Column("policy_version", sa.Text()),
        sa.Column("rule", sa.Text()),
        sa.Column("request_id", sa.Text()),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("prev_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chain_id", "seq", name="pk_audit_record"),
        sa.CheckConstraint("phase IN ('intent', 'outcome', 'event')", name=op.f("ck_audit_record_phase")),
        sa.CheckConstraint(
            "outcome IN ('succeeded', 'failed', 'unknown')", name=op.f("ck_audit_record_outcome")
        ),
    )
    op.create_index("ix_audit_record_at_chain_id_seq", "audit_record", ["at", "chain_id", "seq"])
    op.create_index(
        "ix_audit_record_subject_id_at_chain_id_seq",
        "audit_record",
        ["subject_id", "at", "chain_id", "seq"],
        postgresql_where=sa.text("subject_id IS NOT NULL"),
    )
    op.create_index(
        "ix_audit_record_actor_id_at_chain_id_seq",
        "audit_record",
        ["actor_id", "at", "chain_id", "seq"],
        postgresql_where=sa.text("actor_id IS NOT NULL"),
    )
    op.create_index(
        "ix_audit_record_refers_chain_id_refers_seq",
        "audit_record",
        ["refers_chain_id", "refers_seq"],
        postgresql_where=sa.text("refers_chain_id IS NOT NULL"),
    )
    op.create_table(
        "audit_value",
        sa.Column("chain_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("chain_id", "seq", name="pk_audit_value"),
    )
    op.create_table(
        "audit_command",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=False),
        sa.Column("idempotency_key", sa.Text()),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("input_salt", sa.LargeBinary(), nullable=False),
        sa.Column("input_digest", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("result", sa.Text()),
        sa.Column("intent_chain_id", sa.Uuid(), nullable=False),
        sa.Column("intent_seq", sa.BigInteger(), nullable=False),
        sa.Column("outcome_chain_id", sa.Uuid()),
        sa.Column("outcome_seq", sa.BigInteger()),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_audit_command"),
        sa.UniqueConstraint("actor_id", "idempotency_key", name="uq_audit_command_actor_id_idempotency_key"),
        sa.UniqueConstraint(
            "intent_chain_id", "intent_seq", name="uq_audit_command_intent_chain_id_intent_seq"
        ),
        sa.CheckConstraint(
            "state IN ('running', 'succeeded', 'failed', 'unknown')", name=op.f("ck_audit_command_state")
        ),
    )
    op.create_index(
        "ix_audit_command_started_at",
        "audit_command",
        ["started_at"],
        postgresql_where=sa.text("state IN ('running', 'unknown')"),
    )
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON audit_record FROM okno_app")
    op.execute("REVOKE UPDATE, TRUNCATE ON audit_value FROM okno_app")
    op.execute("REVOKE DELETE, TRUNCATE ON audit_command FROM okno_app")
