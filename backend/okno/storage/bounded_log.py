"""A log file that cannot fill the disk: two files of a bounded size, the older one is thrown away."""

import contextlib
import os
from io import BufferedReader
from pathlib import Path


class BoundedLog:
    """Appends to `path`; at `max_bytes` the file becomes `<path>.1` and a new one begins."""

    def __init__(self, path: Path, *, max_bytes: int = 5_000_000) -> None:
        self._path = path
        self._max_bytes = max_bytes
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)

    def write(self, data: bytes) -> None:
        """Appends `data`. A full disk loses log lines, never the process that logs."""
        try:
            if self._file.tell() + len(data) > self._max_bytes:
                self._file.close()
                os.replace(self._path, self._path.with_name(self._path.name + ".1"))
                self._file = self._path.open("ab", buffering=0)
            self._file.write(data)
        except OSError:
            return

    def close(self) -> None:
        """Closes the file; nothing can be written afterwards."""
        self._file.close()

    def pump(self, stream: BufferedReader) -> None:
        """Copies `stream` until it ends, then closes both; meant for a thread of its own."""
        with stream, contextlib.closing(self):
            while chunk := stream.read1(65536):
                self.write(chunk)
