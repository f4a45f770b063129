"""Whoever may not read a field of the journal does not find it out by searching for it."""

from uuid import UUID

import pytest

from okno.audit.rows import Filter
from okno.errors import Denied
from okno.graph.gate import Gate
from okno.graph.journal import check_searchable
from okno.identity.model import Actor
from okno.policy.service import Policy, Rights

FIELDS = ("id", "at", "title", "detail", "actorName", "actorLogin", "subjectId", "subjectLabel", "team")
READ = """
permit(p: Person, "read", r: JournalRecord, field, "x.team: a team reads its records") if
    r.team in p.teams and part_of(field, "AuditRecord") and level(field, "internal");
permit(p: Person, "mask", r: JournalRecord, "AuditRecord.subjectLabel", "x.mask: a team sees it masked") if
    r.team in p.teams;
"""


def _gate(*hidden: str) -> Gate:
    levels = [
        f'level("AuditRecord.{name}", "{"secret" if name in hidden else "internal"}");' for name in FIELDS
    ]
    masked = (
        'masked("AuditRecord.subjectLabel", "first-letter"); resource_of("AuditRecord", "JournalRecord");'
    )
    policy = Policy.from_sources([("a.polar", "\n".join([*levels, masked, READ]))], "test")
    rights = Rights(teams=frozenset({"x"}))
    return Gate(policy, Actor(UUID(int=1), "person", "ann", "Ann", None, rights))


@pytest.mark.parametrize(
    ("hidden", "asked"),
    [
        ("subjectLabel", Filter(words=("petrov",))),
        ("actorLogin", Filter(words=("petrov",))),
        ("subjectId", Filter(subject_id="7")),
        ("team", Filter(team="x")),
    ],
)
def test_the_journal_is_not_searched_by_what_is_denied_or_masked(hidden: str, asked: Filter) -> None:
    with pytest.raises(Denied):
        check_searchable(_gate(hidden), asked)

    check_searchable(_gate(hidden), Filter())
    check_searchable(_gate(), asked)
