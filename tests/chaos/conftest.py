"""Fixtures of the fault tests: the shared deployment, healed before and after each test."""

from collections.abc import Iterator

import pytest

from tests.chaos.deployment import DEPLOYMENTS, Deployment, Deployments


@pytest.fixture(scope="session")
def deployments() -> Iterator[Deployments]:
    yield DEPLOYMENTS
    DEPLOYMENTS.close()


@pytest.fixture
def deployment(deployments: Deployments) -> Deployment:
    return deployments.shared()
