"""The shipped manifests, for tests that vary a number in them."""

from functools import cache
from pathlib import Path
from typing import Any

from okno.sources.manifest import Breaker, SourceManifest
from okno.sources.service import load_sources_manifests

DIRECTORY = Path(__file__).resolve().parents[3] / "config" / "sources"


@cache
def _all() -> dict[str, SourceManifest]:
    return load_sources_manifests(DIRECTORY)


def manifest_of(source_id: str) -> SourceManifest:
    """The manifest as it is shipped."""
    return _all()[source_id]


def with_changes(manifest: SourceManifest, **changes: Any) -> SourceManifest:
    """A copy with other numbers: keys of the manifest, `breaker`, or `page_size` of its listing."""
    update = dict(changes)
    if "breaker" in update:
        update["breaker"] = Breaker.model_validate(update["breaker"])
    if "page_size" in update:
        size = {"page_size": update.pop("page_size")}
        read: Any = getattr(manifest, "read")  # noqa: B009 - of the kind
        listing = getattr(read, "list", None)
        update["read"] = read.model_copy(
            update={"list": listing.model_copy(update=size)} if listing else size
        )
    return manifest.model_copy(update=update)
