"""The peers of the contract tests: real processes, started when a test first asks for one."""

from tests.contract.peers.fixtures import peer, postgresql, scim2_server, simulators, slapd

__all__ = ["peer", "postgresql", "scim2_server", "simulators", "slapd"]
