"""A real OpenID provider in a process of its own, found by discovery, with its own keys and its own pages."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

_RUNNING = re.compile(r"running on (http://127\.0\.0\.1:[0-9]+)")


@contextmanager
def oidc_provider() -> Iterator[str]:
    """Runs the provider while the block runs; gives its address. It says itself which free port it took.

    Raises:
        AssertionError: it did not start; the message holds what it printed.
    """
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "oidc_provider_mock",
        "--port",
        "0",
        "--require-nonce",
        "true",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        drain = threading.Thread(target=_drain, args=(process.stderr,))
        try:
            lines = []
            for line in process.stderr:
                lines.append(line)
                if match := _RUNNING.search(line):
                    break
            else:
                raise AssertionError("the provider did not start:\n" + "".join(lines))
            drain.start()
            yield match[1]
        finally:
            process.terminate()
            if drain.ident is not None:
                drain.join()


def _drain(stream: IO[str]) -> None:
    for _ in stream:
        pass
