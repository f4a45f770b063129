"""What is known of a person is forgotten in every system that could know them, and in no other."""

from pathlib import Path
from uuid import UUID

from okno.clock import SystemClock
from okno.sources.model import PersonKeys
from okno.sources.service import Sources, load_sources_manifests
from tests.integration.test_api_process import _sources

ROOT = Path(__file__).parents[2]


def test_a_changed_person_is_forgotten_by_the_key_of_each_system() -> None:
    sources = Sources(load_sources_manifests(ROOT / "config" / "sources"), SystemClock(), _sources())
    forgotten: dict[str, str] = {}
    for source_id, reader in sources._readers.items():
        reader.forget = lambda key, of=source_id: forgotten.__setitem__(of, key)  # type: ignore[misc, method-assign]
    sources.forget(PersonKeys(UUID(int=1), "100101", "ivan.petrov", None, None))
    assert forgotten == {
        source_id: key
        for source_id, manifest in sources.manifests.items()
        if (key := {"personnel_number": "100101", "login": "ivan.petrov"}.get(manifest.key)) is not None
    }
    assert forgotten, "the configuration reads at least one system by one of these keys"
