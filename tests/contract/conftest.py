"""The peers of the contract tests: real processes, started when a test first asks for one."""

from tests.contract.peers.fixtures import okno, peer, postgresql, scim2_server, simulators, slapd

__all__ = ["okno", "peer", "postgresql", "scim2_server", "simulators", "slapd"]
