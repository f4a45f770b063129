"""The connection pool and the transaction, the unit in which requests and jobs write."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg
from sqlalchemy import make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from okno.errors import ConfigurationError, Unavailable

APP_ROLE = "okno_app"

# SQLSTATE classes of "the server is not there": 08 connection, 57P0x shutdown, 53 out of resources, 25006 read-only
_GONE = ("08", "57P", "53", "25006")
_NOT_LET_IN = ("28", "3D000")  # wrong login or password, no such database


class Database:
    """Okno's database. One for each process; `transaction()` hands out sessions."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        connection: AsyncConnection | None = None,
        address: tuple[str, str | None] | None = None,
    ) -> None:
        self._engine = engine
        self._connection = connection
        self.address = (
            address  # what `connect` was given: for work that is shared with other processes; never log it
        )

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        role: str | None = APP_ROLE,
        pool_size: int = 10,
        pool_timeout_seconds: float = 5.0,
        application_name: str = "okno",
    ) -> "Database":
        """Opens a pool lazily; nothing is connected yet.

        Args:
            url: postgresql://… ; a Unix socket folder goes into `?host=`.
            role: the database role to act as after connecting (SET ROLE); None keeps the login's own.
        """
        server_settings = {"application_name": application_name, "timezone": "UTC"}
        if role is not None:
            server_settings["role"] = role
        engine = create_async_engine(
            driver_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=pool_timeout_seconds,
            pool_pre_ping=True,
            hide_parameters=True,  # they are personal, and an error's text goes to the log
            connect_args={"server_settings": server_settings, "timeout": 5, "command_timeout": 30},
        )
        return cls(engine, address=(url, role))

    @classmethod
    def bound(cls, connection: AsyncConnection) -> "Database":
        """A database whose transactions are savepoints of the one given connection; tests roll it back."""
        return cls(connection.engine, connection=connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """One transaction: committed when the block ends, rolled back when it raises.

        Raises:
            Unavailable: the server cannot be reached, shuts down, is read-only or lets Okno not in, or all connections
                are taken. Whether a commit that was under way took effect is then not known to the caller.
        """
        with told_unavailable():
            if self._connection is not None:
                session = AsyncSession(
                    self._connection, join_transaction_mode="create_savepoint", expire_on_commit=False
                )
            else:
                session = AsyncSession(self._engine, expire_on_commit=False)
            async with session, session.begin():
                yield session

    @asynccontextmanager
    async def listen(self, channel: str, heard: Callable[[str], None]) -> AsyncIterator["Listening"]:
        """Keeps one connection of the pool that hears what is told on the channel, until the block ends.

        Args:
            heard: called with the payload of each notification; it has to return at once.

        Raises:
            Unavailable: the server cannot be reached.
        """
        with told_unavailable():
            connection = await self._engine.connect()
            try:
                driver: Any = (await connection.get_raw_connection()).driver_connection
                listening = Listening(driver)
                driver.add_termination_listener(listening.end)
                await driver.add_listener(channel, lambda _line, _pid, _channel, payload: heard(payload))
                yield listening
            finally:
                # it has heard things: nobody else gets it from the pool
                await connection.invalidate()
                await connection.close()

    async def notify(self, channel: str, payload: str) -> None:
        """Tells whoever listens on the channel, in a transaction of its own.

        Raises:
            Unavailable: the server cannot be reached.
        """
        async with self.transaction() as session:
            await session.execute(
                text("SELECT pg_notify(:channel, :payload)"), {"channel": channel, "payload": payload}
            )

    async def ping(self) -> None:
        """Asks the server for one row.

        Raises:
            Unavailable: no answer.
        """
        async with self.transaction() as session:
            await session.execute(text("SELECT 1"))

    async def dispose(self) -> None:
        """Closes the pool."""
        await self._engine.dispose()


class Listening:
    """A connection that hears notifications. `lost` is set when it has ended, as far as this side has noticed."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.lost = asyncio.Event()

    def end(self, _driver: Any) -> None:
        """Called by the driver."""
        self.lost.set()

    async def ping(self) -> None:
        """Asks over this very connection, which may be dead without anybody having told.

        Raises:
            Unavailable: no answer.
        """
        with told_unavailable():
            await self._driver.execute("SELECT 1", timeout=5)


@contextmanager
def told_unavailable() -> Iterator[None]:
    """Errors that say that the server is not there, as `Unavailable`."""
    gone = "The database does not answer; nothing was changed. Try again in a moment."
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable(
            "All connections to the database are taken; nothing was changed. Try again in a moment."
        ) from error
    except DBAPIError as error:
        if _sqlstate(error).startswith(_NOT_LET_IN):
            raise Unavailable(
                "The database does not let Okno in; check the login and the database of DATABASE_URL."
            ) from error
        if is_gone(error):
            raise Unavailable(gone) from error
        raise
    except asyncpg.PostgresError as error:
        if str(error.sqlstate).startswith(_GONE):
            raise Unavailable(gone) from error
        raise
    except (OSError, TimeoutError, asyncpg.InterfaceError) as error:
        raise Unavailable(gone) from error


def driver_url(url: str) -> str:
    """The address as SQLAlchemy wants it, with asyncpg as the driver.

    Raises:
        ConfigurationError: it is no address of a PostgreSQL database. The message does not repeat it: it holds a password.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("postgresql", "postgres"):
        raise ConfigurationError("DATABASE_URL has to start with postgresql://")
    address = f"postgresql+asyncpg://{rest}"
    try:
        make_url(address)
    except (ArgumentError, ValueError):
        # of a password with an @ in it, what is behind that is read as host and port, and the error repeats it
        raise ConfigurationError(
            "DATABASE_URL is no address: after the last @ comes HOST:PORT/DATABASE, and @ : / in a password are written %40 %3A %2F"
        ) from None
    return address


def is_gone(error: BaseException) -> bool:
    """Whether the error says that the server went away rather than that the statement was wrong."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if state := _sqlstate(error):
        return state.startswith(_GONE)
    original = getattr(error, "orig", error)
    return isinstance(original, OSError | TimeoutError) or isinstance(error, InterfaceError)


def _sqlstate(error: BaseException) -> str:
    return str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")
