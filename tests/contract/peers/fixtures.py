"""Every kind × peer, started when first asked for and kept for the run."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.contract.peers import Peer
from tests.contract.peers.okno import Okno, running_okno
from tests.contract.peers.postgres import filled_postgres
from tests.contract.peers.scim import running_scim2_server
from tests.contract.peers.simulators import RunningSandbox, running_sandbox
from tests.contract.peers.slapd import running_slapd

# What to run against: (source, peer); the id of the test names kind and peer.
PEERS = (
    pytest.param("hr:simulator", id="rest-simulator"),
    pytest.param("directory:simulator", id="scim-simulator"),
    pytest.param("directory:scim2_server", id="scim-scim2-server"),
    pytest.param("domain:simulator", id="ldap-simulator"),
    pytest.param("domain:slapd", id="ldap-slapd"),
    pytest.param("equipment:simulator", id="sql-simulator"),
    pytest.param("equipment:postgresql", id="sql-postgresql"),
)
DOMAIN_PEERS = tuple(case for case in PEERS if str(case.values[0]).startswith("domain:"))
SIMULATORS = tuple(case for case in PEERS if str(case.values[0]).endswith(":simulator"))


@pytest.fixture(scope="session")
def okno() -> Iterator[Okno]:
    """The deployment that clients of other makers ask; its tests are of the group "stack-graphql"."""
    with running_okno() as running:
        yield running


@pytest.fixture(scope="session")
def slapd() -> Iterator[Peer]:
    with running_slapd() as peer:
        yield peer


@pytest.fixture(scope="session")
def scim2_server() -> Iterator[Peer]:
    with running_scim2_server() as peer:
        yield peer


@pytest.fixture(scope="session")
def postgresql(admin_dsn: str) -> Iterator[Peer]:
    with filled_postgres(admin_dsn) as peer:
        yield peer


@pytest.fixture(scope="session")
def simulators(postgresql: Peer) -> Iterator[RunningSandbox]:
    with running_sandbox(postgresql) as running:
        yield running


@pytest.fixture
def peer(request: pytest.FixtureRequest) -> Peer:
    """The peer of this case."""
    source, _, name = request.param.partition(":")
    if name != "simulator":
        found = request.getfixturevalue(name)
    elif source == "equipment":
        behind = request.getfixturevalue("postgresql")
        found = replace(behind, environment=request.getfixturevalue("simulators").sandbox.environment())
    else:
        found = request.getfixturevalue("simulators").peer(source)
    assert isinstance(found, Peer)
    return found
