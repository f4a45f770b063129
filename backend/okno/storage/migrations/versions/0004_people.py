"""The people index: employees, the keys they are known by, how far each source was read."""

import sqlalchemy as sa
from alembic import op

from okno.errors import ConfigurationError

revision = "0004"
down_revision = "0003"

_TRIGRAMS = "show_trgm('Пётр') = ARRAY[]::text[]"
_COUNTS = ("seen", "changed", "unmatched", "rejected", "vanished", "withheld")


def upgrade() -> None:
    """Creates the tables, the search index, and the function by which the application settles the index after a refresh."""
    _create_extensions()
    op.create_table(
        "people_person",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("personnel_number", sa.Text(), nullable=False),
        sa.Column("login", sa.Text()),
        sa.Column("email", sa.Text()),
        sa.Column("dn", sa.Text()),
        sa.Column("full_name", sa.Text(), nullable=False),
        sa.Column("latin_name", sa.Text()),
        sa.Column("position", sa.Text()),
        sa.Column("department", sa.Text()),
        sa.Column("office", sa.Text()),
        sa.Column("country", sa.Text()),
        sa.Column("city", sa.Text()),
        sa.Column("time_zone", sa.Text()),
        sa.Column("state", sa.Text()),
        sa.Column("protected", sa.Boolean()),
        sa.Column("manager_id", sa.Uuid()),
        sa.Column("work_phone", sa.Text()),
        sa.Column("search_names", sa.Text(), nullable=False),
        sa.Column("search_login", sa.Text()),
        sa.Column("search_email", sa.Text()),
        sa.Column("search_number", sa.Text(), nullable=False),
        sa.Column("search_phone", sa.Text()),
        sa.Column("sort_name", sa.Text(collation="C"), nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.Column("index_run", sa.BigInteger(), nullable=False),
        sa.Column("indexed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("vanished_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_people_person"),
        sa.UniqueConstraint("personnel_number", name="uq_people_person_personnel_number"),
    )
    # Room in each page, so that noting "still listed by HR" for 50,000 rows stays within the page and touches no index.
    op.execute("ALTER TABLE people_person SET (fillfactor = 85)")
    op.create_index("ix_people_person_manager_id", "people_person", ["manager_id"])
    op.create_index("ix_people_person_sorted", "people_person", ["gone", "sort_name", "id"])
    searched = [f"search_{name}" for name in ("names", "login", "email", "number", "phone")]
    op.create_index(
        "ix_people_person_search",
        "people_person",
        searched,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 512},
        postgresql_ops=dict.fromkeys(searched, "gin_trgm_ops"),
    )
    op.create_table(
        "people_key",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "value", "person_id", "source", name="pk_people_key"),
    )
    op.execute("ALTER TABLE people_key SET (fillfactor = 85)")
    op.create_index("ix_people_key_person_id", "people_key", ["person_id"])
    op.create_table(
        "people_index_state",
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("cursor", sa.Text()),
        sa.Column("pages", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("completed_at", sa.DateTime(timezone=True)),
        sa.Column("failure", sa.Text()),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTS),
        sa.PrimaryKeyConstraint("source_id", name="pk_people_index_state"),
    )
    # Only an owner may do either, and the application is none: so this one thing, and nothing else, as the owner.
    op.execute("""
        CREATE FUNCTION people_index_settle() RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        BEGIN
            PERFORM gin_clean_pending_list('public.ix_people_person_search'::regclass);
            ANALYZE public.people_person, public.people_key;
        END
        $$
    """)
    op.execute("REVOKE ALL ON FUNCTION people_index_settle() FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION people_index_settle() TO okno_app")


def _create_extensions() -> None:
    connection = op.get_bind()
    try:
        with connection.begin_nested():
            for extension in ("pg_trgm", "fuzzystrmatch"):
                connection.execute(sa.text(f"CREATE EXTENSION IF NOT EXISTS {extension}"))
    except sa.exc.DBAPIError as error:
        raise ConfigurationError(
            "The extensions pg_trgm and fuzzystrmatch, by which people are found, cannot be created in this database. Install "
            "PostgreSQL's contrib package, or let a superuser run CREATE EXTENSION for both there once."
        ) from error
    if connection.scalar(sa.text(f"SELECT {_TRIGRAMS}")):
        raise ConfigurationError(
            "This database finds no letters in Cyrillic words (its LC_CTYPE is C), so nobody could be found by name. "
            "Create it anew with LC_CTYPE 'C.UTF-8'."
        )
