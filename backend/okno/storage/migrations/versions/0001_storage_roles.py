"""The application's role: it reads and writes rows, and can neither change nor drop tables."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates the role unless the deployment did, lets the owner act as it, and grants on tables to come."""
    op.execute("""
        DO $$
        BEGIN
            IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'okno_app') THEN
                CREATE ROLE okno_app NOLOGIN;
            END IF;
            -- Since PostgreSQL 16 the creator of a role may not SET ROLE to it unless granted so explicitly.
            IF NOT pg_has_role(current_user, 'okno_app', 'SET') THEN
                EXECUTE format('GRANT okno_app TO %I', current_user);
            END IF;
        END
        $$
    """)
    op.execute("GRANT USAGE ON SCHEMA public TO okno_app")
    op.execute(
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO okno_app"
    )
    op.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO okno_app")
