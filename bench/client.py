"""The GraphQL client of the benches: one connection kept open, as a browser does."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp


class Client:
    """Asks `/graphql` and says how long it took."""

    def __init__(self, session: aiohttp.ClientSession, token: str) -> None:
        self._session = session
        self._headers = {"authorization": f"Bearer {token}"}

    async def ask(
        self, query: str, variables: Mapping[str, Any] | None = None
    ) -> tuple[Mapping[str, Any], float]:
        """The data and the seconds from sending to the last byte.

        Raises:
            RuntimeError: the answer holds errors.
        """
        body = {"query": query, "variables": dict(variables or {})}
        began = time.perf_counter()
        async with self._session.post("/graphql", json=body, headers=self._headers) as response:
            raw = await response.read()
            seconds = time.perf_counter() - began
            answer = await response.json(content_type=None)
        if "errors" in answer or not isinstance(answer.get("data"), dict):
            raise RuntimeError(f"HTTP {response.status}: {raw[:500].decode(errors='replace')}")
        return answer["data"], seconds


@asynccontextmanager
async def open_client(url: str, token: str) -> AsyncIterator[Client]:
    """A client of that stack."""
    async with aiohttp.ClientSession(url) as session:
        yield Client(session, token)
