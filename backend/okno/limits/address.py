"""From which address a request comes: that of the connection, or what a trusted proxy says about it."""

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache

from starlette.types import Scope

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

UNKNOWN = "unknown"
# one line of a customer; single addresses of it are free to take
_IPV6_PREFIX = 64
_MOST_HOPS = 20


class Addresses:
    """Reads addresses. `X-Forwarded-For` counts only as far as those who wrote it are trusted."""

    def __init__(self, trusted: Iterable[Network] = ()) -> None:
        self._trusted = tuple(trusted)

    def of(self, scope: Scope) -> str:
        """IPv4 as it is, IPv6 as its /64; `unknown` where there is none, as on a socket of this machine."""
        client = scope.get("client")
        peer = client[0] if client else ""
        if not self._trusted or not _is_in(peer, self._trusted):
            return shown(peer)
        return self._forwarded(peer, scope["headers"])

    def of_connection(self, peer: str) -> str | None:
        """Whose connection it is; None for one of a trusted proxy, which has those of many, and where nobody can tell."""
        if parse(peer) is None or _is_in(peer, self._trusted):
            return None
        return shown(peer)

    def _forwarded(self, peer: str, headers: Sequence[tuple[bytes, bytes]]) -> str:
        """The last address that no trusted proxy has. What stands before it anybody may have written."""
        lines = [value for name, value in headers if name == b"x-forwarded-for"]
        hops = b",".join(lines).decode("latin-1").split(",")
        found = peer
        for hop in reversed(hops[-_MOST_HOPS:]):
            text = _without_port(hop.strip())
            if parse(text) is None:
                break
            found = text
            if not _is_in(found, self._trusted):
                break
        return shown(found)


@lru_cache(maxsize=10_000)
def shown(text: str) -> str:
    """The address as limits know it."""
    address = parse(text)
    if address is None:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address)


def parse(text: str) -> Address | None:
    """The address, an IPv4 address within an IPv6 one as such; None when it is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=10_000)
def _is_in(text: str, networks: tuple[Network, ...]) -> bool:
    address = parse(text)
    return address is not None and any(
        address.version == network.version and address in network for network in networks
    )


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
