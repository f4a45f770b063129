"""Opens a generated company for the simulators. One connection for the whole process, used on the event loop only."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from okno.sandbox.company import describe
from okno.sandbox.records import fold


def open_company(path: Path) -> sqlite3.Connection:
    """Opens the company for reading and writing.

    SQL may call `fold(text)`, which compares as directories do.

    Raises:
        ConfigurationError: there is no such file, or it is no company of this version.
    """
    describe(path)
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=512)
    connection.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=5000; PRAGMA cache_size=-16384; PRAGMA mmap_size=268435456;"
    )
    connection.create_function(
        "fold", 1, lambda value: fold(str(value)) if value is not None else None, deterministic=True
    )
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All writes of the block or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
