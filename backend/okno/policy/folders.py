"""Folders as people name them: a folder on the disk, or one of a git revision, `main:policies`."""

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from okno.errors import ConfigurationError, NotFound

_SECONDS = 30


@contextmanager
def opened(name: str) -> Iterator[Path]:
    """The folder, for the time of the block; that of a revision is written to a temporary one of the same name.

    Raises:
        NotFound: there is no such folder or revision.
        ConfigurationError: git cannot be run.
    """
    if Path(name).is_dir():
        yield Path(name)
        return
    revision, colon, path = name.partition(":")
    if not colon or not revision or revision.startswith("-"):
        raise NotFound(f"there is no folder {name}; give a folder, or REVISION:FOLDER of a git repository")
    with tempfile.TemporaryDirectory(prefix="okno-policy-") as scratch:
        folder = Path(scratch) / (Path(path).name or "policies")
        folder.mkdir()
        archive = _archive(name)
        with tarfile.open(fileobj=io.BytesIO(archive)) as members:
            members.extractall(folder, filter="data")
        yield folder


def _archive(name: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", "archive", "--format=tar", name],
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"git cannot be run, so {name} cannot be read: {error}") from error
    if done.returncode != 0:
        cause = " ".join(done.stderr.decode(errors="replace").split())
        raise NotFound(f"git has no {name}: {cause}")
    return done.stdout
