"""The kinds of corporate system: a new one is a module and a line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from okno.network import NetworkGuard
from okno.sources.kind import Connector
from okno.sources.ldap import LdapConnector
from okno.sources.ldap_manifest import LdapManifest
from okno.sources.manifest import SourceManifest
from okno.sources.rest import RestConnector, RestManifest
from okno.sources.scim import ScimConnector, ScimManifest
from okno.sources.sql import SqlConnector, SqlManifest


@dataclass(frozen=True, slots=True)
class Kind:
    """How manifests of a kind look and what connects them."""

    manifest: type[SourceManifest]
    connect: Callable[[Any, Mapping[str, str] | None, NetworkGuard], Connector]
    textual: bool = False
    """The protocol knows only text: numbers, booleans and times are read from it."""


KINDS: Mapping[str, Kind] = {
    "ldap": Kind(LdapManifest, LdapConnector, textual=True),
    "rest": Kind(RestManifest, RestConnector),
    "scim": Kind(ScimManifest, ScimConnector),
    "sql": Kind(SqlManifest, SqlConnector),
}
