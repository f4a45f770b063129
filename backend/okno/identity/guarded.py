"""httpx by way of the network guard: for the identity provider, whose answers name further addresses to go to."""

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from okno.network import NetworkGuard


class GuardedTransport(httpx.AsyncHTTPTransport):
    """Connects only where the guard lets it. TLS goes on checking the certificate against the name in the URL."""

    def __init__(self, network: NetworkGuard) -> None:
        # httpx hands no backend through to httpcore, so its pool is exchanged for one that has it
        super().__init__(trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(), network_backend=_Backend(network)
        )


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, network: NetworkGuard) -> None:
        self._network = network
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception | None = None
        try:
            addresses = await self._network.addresses(host, port)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:
                failure = error
        assert failure is not None, "addresses gives at least one"
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("sockets of this machine are not for the identity provider")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)
