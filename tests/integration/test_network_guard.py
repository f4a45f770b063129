"""The guard at the moment of connecting: each kind of client, a real server that must not be reached."""

import asyncio
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest

from okno.clock import SystemClock
from okno.errors import ConfigurationError, Unavailable
from okno.identity.guarded import GuardedTransport
from okno.identity.oidc import Attempt, OidcProvider
from okno.network import NetworkGuard
from okno.settings import OidcSettings
from okno.sources.errors import SourceError
from okno.sources.service import Sources, load_sources_manifests

SOURCES = Path(__file__).resolve().parents[2] / "config" / "sources"
NOWHERE = NetworkGuard()
SECOND_LOOPBACK = NetworkGuard([ip_network("127.0.0.2/32")])


class Target:
    """Counts who connects."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    def accept(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    target = Target()
    async with await asyncio.start_server(target.accept, "127.0.0.1", 0) as server:
        target.port = server.sockets[0].getsockname()[1]
        yield target


def environment(host: str, port: int) -> dict[str, str]:
    """All sources at one place."""
    http = f"http://{host}:{port}"
    return {
        "OKNO_HR_URL": http,
        "OKNO_HR_TOKEN": "unused",
        "OKNO_DIRECTORY_URL": http,
        "OKNO_DIRECTORY_TOKEN": "unused",
        "OKNO_DOMAIN_URL": f"ldap://{host}:{port}",
        "OKNO_DOMAIN_BIND_DN": "cn=okno",
        "OKNO_DOMAIN_PASSWORD": "unused",
        "OKNO_EQUIPMENT_URL": f"postgresql://okno:unused@{host}:{port}/equipment",
    }


async def pings(network: NetworkGuard, values: dict[str, str]) -> dict[str, str]:
    """What each source says: the code of its failure."""
    sources = Sources(load_sources_manifests(SOURCES), SystemClock(), values, network=network)
    said = {}
    try:
        for name in sources.manifests:
            try:
                await sources.ping(name)
                said[name] = "ok"
            except SourceError as error:
                said[name] = f"{error.code}: {error.message}"
    finally:
        await sources.close()
    return said


async def test_a_name_that_leads_into_a_network_not_allowed_is_not_connected_to(target: Target) -> None:
    said = await pings(NOWHERE, environment("localhost", target.port))
    assert set(said) == {"hr", "directory", "domain", "equipment"}
    for name, words in said.items():
        assert words.startswith("REFUSED: "), (name, words)
        assert "OKNO_NETWORK_ALLOW" in words, (name, words)
    assert target.connections == 0


async def test_the_same_names_are_connected_to_when_the_network_is_allowed(target: Target) -> None:
    said = await pings(
        NetworkGuard([ip_network("127.0.0.0/8"), ip_network("::1/128")]),
        environment("localhost", target.port),
    )
    assert not any("OKNO_NETWORK_ALLOW" in words for words in said.values())
    assert target.connections >= 4


async def test_an_address_not_allowed_stops_the_start_and_all_are_named(target: Target) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Sources(
            load_sources_manifests(SOURCES),
            SystemClock(),
            environment("127.0.0.1", target.port),
            network=NOWHERE,
        )
    for name in ("hr", "directory", "domain", "equipment"):
        assert f"config/sources/{name}.yaml" in caught.value.message
    assert "unused" not in caught.value.message


@pytest.fixture
def rebinding(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name rebind.example: an allowed address for whoever asks first, the forbidden one for whoever asks again."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def answer(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name != "rebind.example":
            return real(host, port, *rest, **named)
        asked.append(name)
        address = "127.0.0.2" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, int(port)))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


async def test_a_name_that_changes_between_looking_and_connecting_gains_nothing(
    target: Target, rebinding: list[str]
) -> None:
    manifests = load_sources_manifests(SOURCES)
    values = environment("rebind.example", target.port)
    for name in manifests:
        rebinding.clear()
        sources = Sources({name: manifests[name]}, SystemClock(), values, network=SECOND_LOOPBACK)
        for _ in range(2):
            with pytest.raises(SourceError):
                await sources.ping(name)
        await sources.close()
        assert rebinding, name
    assert target.connections == 0


def provider(issuer: str, network: NetworkGuard, **more: Any) -> OidcProvider:
    settings = OidcSettings(issuer=issuer, client_id="okno", client_secret="env:X")
    return OidcProvider(
        settings, "s", "https://okno.example/cb", SystemClock(), plain_http=True, network=network, **more
    )


async def test_the_identity_provider_is_looked_for_in_allowed_networks_only(
    target: Target, rebinding: list[str]
) -> None:
    attempt = Attempt.start("/", SystemClock().now())
    for host, network in (("localhost", NOWHERE), ("rebind.example", SECOND_LOOPBACK)):
        refused = provider(f"http://{host}:{target.port}", network)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await refused.authorization_url(attempt)
        await refused.close()
    assert target.connections == 0
    with pytest.raises(ConfigurationError, match="never connected to"):
        provider("http://169.254.169.254", NOWHERE)


async def test_an_endpoint_that_the_provider_names_has_to_be_as_protected_as_the_provider() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        base = "https://id.example"
        named = {"authorization_endpoint": f"{base}/a", "token_endpoint": "http://id.example/t"}
        return httpx.Response(200, json={"issuer": base, "jwks_uri": f"{base}/k", **named})

    careless = provider("https://id.example", NOWHERE, transport=httpx.MockTransport(answer))
    with pytest.raises(ConfigurationError, match="token_endpoint"):
        await careless.authorization_url(Attempt.start("/", SystemClock().now()))
    await careless.close()


async def test_an_endpoint_that_the_provider_names_is_not_connected_to_where_it_may_not_be(
    target: Target,
) -> None:
    async with httpx.AsyncClient(transport=GuardedTransport(SECOND_LOOPBACK)) as client:
        for address in (f"http://localhost:{target.port}/keys", f"http://127.0.0.1:{target.port}/keys"):
            with pytest.raises(httpx.ConnectError):
                await client.get(address)
    assert target.connections == 0
