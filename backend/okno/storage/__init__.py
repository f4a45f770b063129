"""Okno's own PostgreSQL: engine, embedded server, migrations."""
