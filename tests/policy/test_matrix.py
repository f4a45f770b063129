"""The matrix of policies/tests/matrix.yaml: each cell asked of the compiled tables and of Oso itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

from okno.policy.service import Policy, Rights

POLICIES = Path(__file__).parents[2] / "policies"
ME = UUID("00000000-0000-4000-8000-00000000000a")
SOMEONE = UUID("00000000-0000-4000-8000-00000000000b")
ACTIONS = ("read", "run", "write", "use", "mask", "match")


@dataclass(frozen=True)
class Cell:
    actor: str
    action: str
    name: str
    row: str
    rule: str | None

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.name} {self.row}"


@cache
def _matrix() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((POLICIES / "tests" / "matrix.yaml").read_text(encoding="utf-8"))
    return loaded


def _cells() -> Iterator[Cell]:
    for case in _matrix()["cases"]:
        (action,) = [action for action in ACTIONS if action in case]
        assert set(case) in ({"as", action, "of", "rule"}, {"as", action, "of", "deny"}), case
        for name in case[action]:
            yield Cell(case["as"], action, name, case["of"], case.get("rule"))


def _rights(actor: str) -> Rights:
    return Rights(**{name: frozenset(values) for name, values in _matrix()["actors"][actor].items()})


def _row(name: str) -> tuple[str, dict[str, object]]:
    row = dict(_matrix()["rows"][name])
    resource: str = row.pop("resource")
    default = {
        "Employee": {"id": SOMEONE},
        "JournalRecord": {"actor_id": SOMEONE},
        "OwnHistory": {"subject_id": SOMEONE},
        "Okno": {},
    }[resource]
    return resource, {**default, **{key: ME if value == "me" else value for key, value in row.items()}}


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.load(POLICIES)


@pytest.mark.parametrize("cell", list(_cells()), ids=str)
def test_the_matrix_holds_and_oso_agrees_wherever_every_fact_is_known(policy: Policy, cell: Cell) -> None:
    rights = _rights(cell.actor)
    resource, facts = _row(cell.row)
    if cell.action == "read":
        assert policy.resource_of(cell.name.partition(".")[0]) == resource, (
            "the case reads from the wrong row"
        )

    if cell.action == "mask":
        decision = policy.table(rights, "read", resource).decide(cell.name)
        alternative = None if decision.allows(facts, ME) else decision.mask(facts, ME)
    else:
        alternative = policy.table(rights, cell.action, resource).decide(cell.name).allows(facts, ME)

    assert (alternative.rule_id if alternative else None) == cell.rule
    structural = cell.name.partition(".")[0] in policy.structural
    if "unknown" not in cell.row and not structural:
        asked = policy.permits(rights, cell.action, resource, cell.name, facts, own_id=ME)
        if cell.action == "mask" and policy.permits(rights, "read", resource, cell.name, facts, own_id=ME):
            asked = False
        assert asked is (cell.rule is not None)


def test_every_rule_allows_something_somewhere_in_the_matrix(policy: Policy) -> None:
    assert set(policy.rules) == {cell.rule for cell in _cells() if cell.rule}


def test_every_operation_mutation_page_mask_and_match_is_both_allowed_and_denied_in_the_matrix(
    policy: Policy,
) -> None:
    for action, resource in (
        ("run", "Employee"),
        ("write", "Okno"),
        ("use", "Okno"),
        ("mask", "Employee"),
        ("match", "Employee"),
    ):
        names = {answer.field for answer in policy.symbolic(action, resource)}
        cells = [cell for cell in _cells() if cell.action == action]
        assert names
        assert names == {cell.name for cell in cells if cell.rule}
        assert names <= {cell.name for cell in cells if cell.rule is None}


def test_every_actor_and_row_of_the_matrix_is_used() -> None:
    cells = list(_cells())
    assert {cell.actor for cell in cells} == set(_matrix()["actors"])
    assert {cell.row for cell in cells} == set(_matrix()["rows"])
