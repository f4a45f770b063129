"""The journal in months, and the team of who acted.

Records and values are partitioned by their chain, whose id begins with its time. The tables there are become the default
partition: nothing is copied, so this takes as long as one reading of them, and chains of before stay where they are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

TABLES = ("audit_record", "audit_value")

# As the owner, since the application may not alter tables: it can only ask for months to come, of this form and no other.
# A month of which records lie in the default partition already is left there; the answer says which months are new.
_ADD_PARTITIONS = """
CREATE FUNCTION audit_add_partitions(from_month date, months integer) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
    parent text;
    name text;
    month timestamp;  -- in UTC
    low uuid;
    high uuid;
    is_taken boolean;
BEGIN
    IF months NOT BETWEEN 1 AND 24 OR from_month NOT BETWEEN date '2020-01-01' AND date '2200-01-01' THEN
        RAISE EXCEPTION 'audit_add_partitions makes 1 to 24 months, and not of any time';
    END IF;
    PERFORM pg_advisory_xact_lock(x'6f6b6e6f61'::bigint);
    FOR ahead IN 0 .. months - 1 LOOP
        month := date_trunc('month', from_month::timestamp) + make_interval(months => ahead);
        low := lpad(to_hex((extract(epoch FROM month) * 1000)::bigint), 12, '0') || repeat('0', 20);
        high := lpad(to_hex((extract(epoch FROM month + interval '1 month') * 1000)::bigint), 12, '0') || repeat('0', 20);
        FOREACH parent IN ARRAY ARRAY['audit_record', 'audit_value'] LOOP
            name := parent || to_char(month, '"_p"YYYYMM');
            CONTINUE WHEN to_regclass('public.' || name) IS NOT NULL;
            EXECUTE format('SELECT EXISTS (SELECT FROM public.%I WHERE chain_id >= $1 AND chain_id < $2)', parent || '_default')
                INTO is_taken USING low, high;
            CONTINUE WHEN is_taken;
            EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING ALL)', name, parent);
            -- the schema's default privileges would let the application change rows here
            EXECUTE format('REVOKE ALL ON public.%I FROM okno_app', name);
            EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                parent, name, low, high);
            RETURN NEXT name;
        END LOOP;
    END LOOP;
END
$$
"""


def upgrade() -> None:
    """Puts partitioned tables in the place of the old ones, with the same rights, and makes the first months."""
    op.add_column("audit_record", sa.Column("team", sa.Text()))
    for table in TABLES:
        old = f"{table}_default"
        op.execute(f"ALTER TABLE {table} RENAME TO {old}")
        op.execute(
            f"CREATE TABLE {table} (LIKE {old} INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (chain_id)"
        )
        _rename_constraints_and_indexes(table, old)
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} PRIMARY KEY (chain_id, seq)")
    for columns in (
        ["at", "chain_id", "seq"],
        ["subject_id", "at", "chain_id", "seq"],
        ["actor_id", "at", "chain_id", "seq"],
        ["refers_chain_id", "refers_seq"],
    ):
        only = None if columns[0] == "at" else sa.text(f"{columns[0]} IS NOT NULL")
        op.create_index(
            f"ix_audit_record_{'_'.join(columns)}", "audit_record", columns, postgresql_where=only
        )
    for table in TABLES:
        # the indexes that are there are taken over, since they are of the same form
        op.execute(f"ALTER TABLE {table} ATTACH PARTITION {table}_default DEFAULT")
        # who enters through the partitioned table needs no right on a partition
        op.execute(f"REVOKE ALL ON {table}_default FROM okno_app")
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON audit_record FROM okno_app")
    op.execute("REVOKE UPDATE, TRUNCATE, REFERENCES, TRIGGER ON audit_value FROM okno_app")
    op.execute(_ADD_PARTITIONS)
    op.execute("REVOKE ALL ON FUNCTION audit_add_partitions(date, integer) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION audit_add_partitions(date, integer) TO okno_app")
    op.execute("SELECT audit_add_partitions((now() AT TIME ZONE 'UTC')::date, 4)")


def _rename_constraints_and_indexes(table: str, old: str) -> None:
    """Their names are wanted for the new table."""
    # the names are this file's own
    rename = f"""
        DO $$
        DECLARE
            each record;
        BEGIN
            FOR each IN SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indrelid = '{old}'::regclass LOOP
                EXECUTE format('ALTER INDEX %I RENAME TO %I', each.name, replace(each.name, '{table}', '{old}'));
            END LOOP;
        END
        $$
    """  # noqa: S608
    op.execute(rename)
