"""Every type of event that the journal knows is recorded somewhere: no type is dead, and none is recorded that it does not know."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import okno
from okno.audit.registry import EVENT_TYPES
from okno.operations.model import EVENT_TYPES as OPERATION_EVENTS

CODE = Path(okno.__file__).parent
#: Modules that speak of types without recording them: the registry itself, and how an export or a reader names them.
SPEAKING = frozenset(
    {"audit/registry.py", "audit/export/ocsf.py", "audit/export/cef.py", "audit/export/syslog.py"}
)
#: Calls that write to the journal, or that make what is written.
RECORDING = frozenset(
    {
        "Event",
        "record",
        "command",
        "event",
        "journal_event",
        "_event",
        "_command",
        "_record",
        "_note",
        "_tell",
    }
)


def _said() -> Iterator[tuple[str, str, bool]]:
    """Type, place, and whether it stands in a call that records."""
    for file in sorted(CODE.rglob("*.py")):
        name = file.relative_to(CODE).as_posix()
        if name in SPEAKING or "/migrations/" in name:
            continue
        tree = ast.parse(file.read_text("utf-8"))
        recording = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and _name(node.func) in RECORDING
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in EVENT_TYPES:
                yield node.value, f"{name}:{node.lineno}", id(node) in recording


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


SAID = tuple(_said())


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
def test_every_type_of_event_is_recorded_somewhere(event_type: str) -> None:
    if event_type in OPERATION_EVENTS.values():
        places = [place for each, place, _ in SAID if each == event_type]
        assert any(place.startswith("operations/") for place in places), f"no operation records {event_type}"
        return
    places = [place for each, place, records in SAID if each == event_type and records]
    assert places, f"{event_type} is registered and nothing records it; take it out of audit/registry.py"


def test_what_a_reviewer_relies_on_is_among_them() -> None:
    wanted = {
        "operation.run", "access.denied", "session.started", "session.failed", "session.ended", "token.issued", "token.revoked",
        "sensitive.read", "policy.loaded", "policy.refused", "journal.exported", "journal.exporting", "journal.erased",
    }  # fmt: skip
    assert wanted <= EVENT_TYPES.keys()
