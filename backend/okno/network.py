"""Where Okno may connect to (docs/adr/0022): every address is looked at when the connection is made, not when a name is read.

So neither a configured name that points elsewhere later, nor a redirect, nor an address named by a provider leads into a
network that the deployment did not allow. Metadata services of clouds and link-local addresses are refused always.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

from okno.errors import ConfigurationError
from okno.settings import PRIVATE_NETWORKS

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Beside link-local: where clouds tell a machine its credentials (AWS by IPv6, Alibaba, Oracle, Azure's wire server)
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16")
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")


class AddressRefused(OSError):
    """The connection was not made. An OSError, so that whoever connects takes it for what it is: not reachable."""


def refusal_in(error: BaseException) -> AddressRefused | None:
    """The refusal that made a connection fail, however deep the client's library has wrapped it."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        if isinstance(found, AddressRefused):
            return found
        seen.add(id(found))
        found = getattr(found, "os_error", None) or found.__cause__ or found.__context__
    return None


class NetworkGuard:
    """The rule of one deployment."""

    def __init__(self, allow: Iterable[Network] = ()) -> None:
        self._allow = tuple(allow)

    def check_url(self, url: str, schemes: Sequence[str], *, what: str) -> SplitResult:
        """The parts of a configured URL, as far as it can be judged without asking anybody.

        Args:
            what: the key it stands under, for the error. The URL itself is not told: it may hold what must not be.

        Raises:
            ConfigurationError: another scheme, no host, credentials in it, or an address that may not be connected to.
        """
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            raise ConfigurationError(f"{what} is no URL") from None
        if parts.scheme not in schemes:
            raise ConfigurationError(
                f"{what} has to start with {' or '.join(f'{scheme}://' for scheme in schemes)}"
            )
        if not parts.hostname or any(letter <= " " for letter in url) or "\\" in url:
            raise ConfigurationError(f"{what} has to name a host, without spaces or backslashes")
        if "@" in parts.netloc:
            raise ConfigurationError(
                f"{what} has to do without user name and password; they belong under auth, by reference"
            )
        self._check_host(parts.hostname, what)
        return parts

    def check_host(self, host: str, *, what: str) -> None:
        """Like `check_url`, for what gives a host alone.

        Raises:
            ConfigurationError: it is an address that may not be connected to.
        """
        self._check_host(host, what)

    def _check_host(self, host: str, what: str) -> None:
        address = _literal(host)
        if address is not None and (reason := self.reason_against(address)):
            raise ConfigurationError(f"{what}: {reason}")

    def reason_against(self, address: Address) -> str | None:
        """Why the address may not be connected to; None when it may."""
        address = _innermost(address)
        if address.is_link_local or address in _METADATA:
            return f"{address} is link-local or tells a machine's credentials; it is never connected to"
        if (
            address.is_unspecified
            or address.is_multicast
            or (address.version == 4 and int(address) >> 24 in (0, 255))
            or (address.is_reserved and not address.is_loopback)
        ):
            return f"{address} is no address of a system"
        if address.is_global:
            return None
        if any(address.version == network.version and address in network for network in self._allow):
            return None
        return f"{address} is in a private network that [network] allow (OKNO_NETWORK_ALLOW) does not name"

    def check_address(self, text: str) -> None:
        """For whoever is about to connect to this address.

        Raises:
            AddressRefused: it may not be connected to.
        """
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            raise AddressRefused(f"{text[:60]!r} is no address") from None
        if reason := self.reason_against(address):
            raise AddressRefused(reason)

    def admitted(self, found: Iterable[Any]) -> list[Any]:
        """Those of `socket.getaddrinfo`'s answers that may be connected to.

        Raises:
            AddressRefused: none may.
        """
        answers, refused = [], AddressRefused("the name has no address")
        for answer in found:
            try:
                self.check_address(str(answer[4][0]))
            except AddressRefused as error:
                refused = error
            else:
                answers.append(answer)
        if not answers:
            raise refused
        return answers

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host that may be connected to, each once.

        Raises:
            AddressRefused: none may.
            OSError: the name is not known.
        """
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(answer[4][0]) for answer in self.admitted(found)))

    def new_socket(self, answer: Any) -> socket.socket:
        """A socket for the address of one of `socket.getaddrinfo`'s answers, as aiohttp's `socket_factory` wants it.

        Raises:
            AddressRefused: it may not be connected to.
        """
        family, kind, protocol, _, address = answer
        self.check_address(str(address[0]))
        return socket.socket(family, kind, protocol)


# For work on one machine and for tests: systems may be in any private network
PRIVATE = NetworkGuard(ipaddress.ip_network(text) for text in PRIVATE_NETWORKS)


def _literal(host: str) -> Address | None:
    """The address that a host is written as, in any of the ways that connecting understands, such as 0x7f.1 or 2130706433."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host)) if host[:1].isdigit() else None
    except OSError:
        return None


def _innermost(address: Address) -> Address:
    """The IPv4 address that an IPv6 one carries, if it does: what the packets reach in the end."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or address in _NAT64_LOCAL or (int(address) >> 32 == 0 and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address
