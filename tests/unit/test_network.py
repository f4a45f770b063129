"""Where Okno may connect to: by address, in whatever way it is written."""

import ipaddress
from ipaddress import ip_network

import pytest

from okno.errors import ConfigurationError
from okno.network import PRIVATE, AddressRefused, NetworkGuard

NONE = NetworkGuard()
SOME = NetworkGuard([ip_network("10.20.0.0/16"), ip_network("fd12::/32")])


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "0.0.0.0",  # noqa: S104
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "240.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "::a9fe:a9fe",
    ],
)
def test_some_addresses_are_refused_whatever_is_configured(address: str) -> None:
    everything = NetworkGuard([ip_network("0.0.0.0/0"), ip_network("::/0")])
    for guard in (NONE, PRIVATE, everything):
        assert guard.reason_against(ipaddress.ip_address(address)), address
        with pytest.raises(AddressRefused):
            guard.check_address(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.20.1.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1"]
)
def test_private_addresses_need_a_network_that_is_named(address: str) -> None:
    given = ipaddress.ip_address(address)
    assert "OKNO_NETWORK_ALLOW" in (NONE.reason_against(given) or "")
    assert PRIVATE.reason_against(given) is None
    assert (SOME.reason_against(given) is None) == (address in ("10.20.1.1", "fd12::1"))


def test_public_addresses_are_open() -> None:
    for address in ("8.8.8.8", "2001:4860:4860::8888"):
        assert NONE.reason_against(ipaddress.ip_address(address)) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fe80::1%25eth0]/",
        "http://127.1/",
        "http://10.0.0.1:8080/",
        "http://user@hr.example/",
        "http://user:password@hr.example/",
        "http://",
        "http:///path",
        "http://hr.example\\@evil.example/",
        "http://hr.example /",
        "http://hr.example:port/",
        "file:///etc/passwd",
        "gopher://hr.example/",
        "ftp://hr.example/",
        "hr.example",
        "",
    ],
)
def test_a_configured_url_is_refused_at_the_start_without_being_told(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        NONE.check_url(url, ("http", "https"), what="source hr: endpoint.url")
    assert caught.value.message.startswith("source hr: endpoint.url")
    assert "password" not in caught.value.message.replace("user name and password", "")


def test_ordinary_urls_pass() -> None:
    for url in ("https://hr.example/api", "http://hr.example:8080", "https://[2001:4860:4860::8888]/"):
        assert NONE.check_url(url, ("http", "https"), what="x").hostname
    assert PRIVATE.check_url("http://127.0.0.1:9", ("http",), what="x").port == 9


def test_of_several_addresses_those_that_are_refused_are_passed_over() -> None:
    found = [(2, 1, 6, "", (address, 80)) for address in ("169.254.169.254", "8.8.8.8", "10.0.0.1")]
    assert [each[4][0] for each in NONE.admitted(found)] == ["8.8.8.8"]
    with pytest.raises(AddressRefused):
        NONE.admitted(found[:1])
    with pytest.raises(AddressRefused):
        NONE.admitted([])
