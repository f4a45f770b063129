"""HTTP as the kinds rest and scim use it: one warm session for each source, JSON only, faults told apart."""

from collections.abc import Mapping
from typing import Any, Self

import aiohttp
import orjson
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import Field, model_validator
from yarl import URL

from okno.network import NetworkGuard, refusal_in
from okno.sources.errors import SourceError
from okno.sources.manifest import Part, Reference, SourceManifest

# Ten thousand employees of 3 kB; more is a fault of the other side.
_MAX_BYTES = 32 * 1024 * 1024


class HttpEndpoint(Part):
    """Where the system listens. `url` is a literal or a reference."""

    url: str | Reference


class Basic(Part):
    """User name and password (RFC 7617)."""

    user: str | Reference
    password: Reference


class HttpAuth(Part):
    """Who Okno is to the system: a bearer token or a user name and password, by reference."""

    bearer: Reference | None = None
    basic: Basic | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.bearer is None) == (self.basic is None):
            raise ValueError("give either bearer: {env: NAME} or basic: {user: …, password: {env: NAME}}")
        return self


class HttpManifest(SourceManifest):
    """What manifests of HTTP kinds share."""

    endpoint: HttpEndpoint
    auth: HttpAuth | None = Field(default=None)


def resolve(value: str | Reference, environment: Mapping[str, str] | None) -> str:
    """A literal as it stands, a reference resolved."""
    return value if isinstance(value, str) else value.resolve(environment)


class JsonClient:
    """Asks one system for JSON."""

    def __init__(
        self,
        manifest: HttpManifest,
        environment: Mapping[str, str] | None,
        network: NetworkGuard,
        *,
        accept: str,
    ) -> None:
        self._source = manifest.id
        self._concurrency = manifest.concurrency
        base = resolve(manifest.endpoint.url, environment)
        network.check_url(base, ("http", "https"), what=f"source {manifest.id}: endpoint.url")
        self._network = network
        self._base = base.rstrip("/")
        self._headers = {"Accept": accept, "User-Agent": "Okno"}
        auth = manifest.auth
        if auth is not None and auth.bearer is not None:
            self._headers["Authorization"] = f"Bearer {auth.bearer.resolve(environment)}"
        elif auth is not None and auth.basic is not None:
            user, password = resolve(auth.basic.user, environment), auth.basic.password.resolve(environment)
            self._headers["Authorization"] = aiohttp.encode_basic_auth(user, password)
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The JSON behind base + path. `path` is encoded already, the query is not.

        Raises:
            SourceError: the code tells the fault.
        """
        return await self._ask("GET", path, query, None)

    async def post(self, path: str, body: Any, query: Mapping[str, str] | None = None) -> Any:
        """The JSON that a question with a JSON body is answered with; for reading only, so it may be asked again.

        Raises:
            SourceError: the code tells the fault.
        """
        return await self._ask("POST", path, query, orjson.dumps(body))

    async def _ask(self, method: str, path: str, query: Mapping[str, str] | None, body: bytes | None) -> Any:
        session = self._opened()
        url = URL(self._base + path, encoded=True)
        if query:
            url = url.update_query(query)
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        try:
            async with session.request(
                method, url, headers=headers, data=body, allow_redirects=False
            ) as response:
                status, answer = response.status, await self._body(response)
        except aiohttp.ClientPayloadError:
            raise SourceError(
                "UNREACHABLE", f"{self._source}: the connection was cut in the middle of the answer"
            ) from None
        except (aiohttp.ClientResponseError, aiohttp.InvalidURL, HttpProcessingError, ValueError):
            raise SourceError("BAD_ANSWER", f"{self._source}: the answer is not HTTP") from None
        except (aiohttp.ClientError, OSError) as error:
            if refusal := refusal_in(error):
                raise SourceError("REFUSED", f"{self._source}: {refusal}") from None
            raise SourceError(
                "UNREACHABLE", f"{self._source}: no connection ({type(error).__name__})"
            ) from None
        self._check(status)
        try:
            return orjson.loads(answer)
        except orjson.JSONDecodeError:
            raise SourceError("BAD_ANSWER", f"{self._source}: the answer is not JSON") from None

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # The runtime's deadline bounds every call, so aiohttp needs no timeouts of its own.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._concurrency,
                    keepalive_timeout=60,
                    ttl_dns_cache=60,
                    socket_factory=self._network.new_socket,
                ),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        chunks, size = [], 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > _MAX_BYTES:
                raise SourceError(
                    "BAD_ANSWER", f"{self._source}: the answer is longer than {_MAX_BYTES} bytes"
                )
            chunks.append(chunk)
        return b"".join(chunks)

    def _check(self, status: int) -> None:
        if 200 <= status < 300:
            return
        if status == 404:
            raise SourceError("NOT_FOUND", f"{self._source}: no such record")
        if status in (401, 403):
            raise SourceError(
                "REFUSED", f"{self._source}: HTTP {status}, the credentials of the manifest are not accepted"
            )
        if 300 <= status < 400:
            raise SourceError(
                "BAD_ANSWER",
                f"{self._source}: HTTP {status}, redirects are not followed; correct endpoint.url",
            )
        if status >= 500:
            raise SourceError("UNREACHABLE", f"{self._source}: HTTP {status}")
        raise SourceError("REFUSED", f"{self._source}: HTTP {status}")
