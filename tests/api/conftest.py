"""Fixtures of the API tests: the repository's own schema, policy, teams and widgets over fake servers."""

import pytest

from tests.api.world import Parts, World


@pytest.fixture(scope="session")
def parts() -> Parts:
    return Parts.load()


@pytest.fixture
def world(parts: Parts) -> World:
    return World(parts)
