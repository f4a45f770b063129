"""Accounts, memberships, service principals, sessions and bearer tokens."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Creates the tables of identity; secrets stand there as digests only."""
    op.execute("""
        CREATE TABLE identity_account (
            id uuid NOT NULL CONSTRAINT pk_identity_account PRIMARY KEY,
            login text NOT NULL CONSTRAINT uq_identity_account_login UNIQUE
                CONSTRAINT ck_identity_account_login_lower CHECK (login = lower(login)),
            display_name text NOT NULL,
            employee_id uuid,
            issuer text,
            subject text,
            created_at timestamptz NOT NULL,
            last_sign_in_at timestamptz,
            disabled_at timestamptz,
            CONSTRAINT uq_identity_account_issuer_subject UNIQUE (issuer, subject),
            CONSTRAINT ck_identity_account_issuer_with_subject CHECK ((issuer IS NULL) = (subject IS NULL))
        )
    """)
    op.execute("""
        CREATE TABLE identity_membership (
            account_id uuid NOT NULL
                CONSTRAINT fk_identity_membership_account_id REFERENCES identity_account (id) ON DELETE CASCADE,
            team_id text NOT NULL,
            origin text NOT NULL CONSTRAINT ck_identity_membership_origin_known CHECK (origin IN ('provider', 'database')),
            created_at timestamptz NOT NULL,
            CONSTRAINT pk_identity_membership PRIMARY KEY (account_id, team_id, origin)
        )
    """)
    op.execute("""
        CREATE TABLE identity_service (
            id uuid NOT NULL CONSTRAINT pk_identity_service PRIMARY KEY,
            name text NOT NULL CONSTRAINT uq_identity_service_name UNIQUE,
            created_at timestamptz NOT NULL,
            disabled_at timestamptz
        )
    """)
    op.execute("""
        CREATE TABLE identity_session (
            id uuid NOT NULL CONSTRAINT pk_identity_session PRIMARY KEY,
            account_id uuid NOT NULL
                CONSTRAINT fk_identity_session_account_id REFERENCES identity_account (id) ON DELETE CASCADE,
            method text NOT NULL,
            team_id text,
            key_hash bytea NOT NULL CONSTRAINT uq_identity_session_key_hash UNIQUE,
            secret_hash bytea NOT NULL,
            previous_hash bytea,
            grace_until timestamptz,
            rotated_at timestamptz NOT NULL,
            started_at timestamptz NOT NULL,
            last_seen_at timestamptz NOT NULL,
            ends_at timestamptz NOT NULL
        )
    """)
    op.execute("CREATE INDEX ix_identity_session_account_id ON identity_session (account_id)")
    op.execute("CREATE INDEX ix_identity_session_ends_at ON identity_session (ends_at)")
    op.execute("""
        CREATE TABLE identity_token (
            id uuid NOT NULL CONSTRAINT pk_identity_token PRIMARY KEY,
            account_id uuid CONSTRAINT fk_identity_token_account_id REFERENCES identity_account (id) ON DELETE CASCADE,
            service_id uuid CONSTRAINT fk_identity_token_service_id REFERENCES identity_service (id) ON DELETE CASCADE,
            team_id text,
            scopes text[] NOT NULL,
            secret_hash bytea NOT NULL CONSTRAINT uq_identity_token_secret_hash UNIQUE,
            created_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL,
            revoked_at timestamptz,
            last_used_at timestamptz,
            CONSTRAINT ck_identity_token_one_holder CHECK ((account_id IS NULL) <> (service_id IS NULL))
        )
    """)
    op.execute("CREATE INDEX ix_identity_token_account_id ON identity_token (account_id)")
    op.execute("CREATE INDEX ix_identity_token_service_id ON identity_token (service_id)")
