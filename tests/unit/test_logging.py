"""What a log line may not carry is taken out of it, whoever wrote it there."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from okno.identity.credentials import PERSON_PREFIX, SessionCookie, new_secret
from okno.logging import configure_logging, scrubbed


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Logging as a process of Okno has it, into memory."""
    out = io.StringIO()
    root = logging.getLogger()
    handlers = root.handlers[:]
    root.handlers.clear()
    monkeypatch.setattr(sys, "stderr", out)
    structlog.reset_defaults()
    configure_logging("INFO")
    yield out
    root.handlers[:] = handlers
    structlog.reset_defaults()


def test_secrets_do_not_stand_in_any_line(stderr: io.StringIO) -> None:
    token, cookie = PERSON_PREFIX + new_secret(), SessionCookie.new().value
    planted = {
        token: f"refused {token} at the door",
        cookie: f"cookie: a=b; okno_session={cookie}; c=d",
        "p4ssw0rd-of-the-database": "could not connect to postgresql://okno:p4ssw0rd-of-the-database@db:5432/okno",
        "eyJhbGciOiJIUzI1NiJ9.e30.sig-nature": "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.sig-nature",
        "YWRtaW46aHVudGVyMg==": "headers {'Authorization': 'Basic YWRtaW46aHVudGVyMg=='}",
        "hunter2": "grant_type=password&client_secret=hunter2&code=1",
        "ivanova@mail.example": "duplicate key value\nDETAIL:  Key (email)=(ivanova@mail.example) already exists.",
        "4012 888888 881881": 'new row violates "check"\nDETAIL:  Failing row contains (1, 4012 888888 881881).',
    }
    log = structlog.get_logger("test")
    for text in planted.values():
        log.warning("said", text=text, nested={"inner": [text]})
        logging.getLogger("a.library").warning("it said %s", text)
        try:
            raise ValueError(text)
        except ValueError:
            log.exception("failed")
            logging.getLogger("a.library").exception("failed")
    written = stderr.getvalue()
    assert written.count("failed") >= 2 * len(planted)
    assert "duplicate key value" in written, "the cause itself stays"
    for secret in planted:
        assert secret not in written, secret


def test_what_an_error_repeats_of_a_value_is_not_logged_but_where_it_happened_is(stderr: io.StringIO) -> None:
    log = structlog.get_logger("test")
    value = "-".join(["4012", "8888"])  # the line of the source stands in the log

    def provoke(kind: int) -> object:
        return int(value) if kind else dict[str, str]()[value]

    for kind in (0, 1):
        try:
            try:
                provoke(kind)
            except (ValueError, LookupError) as error:
                raise RuntimeError("the import failed") from error
        except RuntimeError:
            log.exception("failed")
            logging.getLogger("a.library").exception("failed")
    written = stderr.getvalue()
    assert value not in written
    for part in ("ValueError", "KeyError", "RuntimeError: the import failed", "test_logging.py"):
        assert part in written


def test_what_is_no_secret_stays_and_a_line_stays_json(stderr: io.StringIO) -> None:
    structlog.get_logger("test").warning(
        "request failed", path="/auth/session", url="https://hr.example:8080/a@b", code="TIMEOUT", status=503
    )
    (line,) = stderr.getvalue().splitlines()
    assert json.loads(line) | {"timestamp": ""} == {
        "event": "request failed",
        "path": "/auth/session",
        "url": "https://hr.example:8080/a@b",
        "code": "TIMEOUT",
        "status": 503,
        "level": "warning",
        "timestamp": "",
    }
    assert scrubbed("basic questions remain: the token was revoked") == (
        "basic questions remain: the token was revoked"
    )
