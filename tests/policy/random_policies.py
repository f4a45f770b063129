"""Random policies, as people might write them: rules over helpers and facts, for every action, with masks."""

from hypothesis import strategies as st

from okno.policy.model import FACTS
from okno.policy.service import Rights

FIELDS = {
    "Employee.id": ("public", None),
    "Employee.email": ("internal", "domain"),
    "Employee.phone": ("internal", "last-4"),
    "Employee.city": ("internal", None),
    "HrSection.address": ("confidential", "hidden"),
    "HrSection.salary": ("secret", None),
}
OPERATIONS = ("x.lock", "x.unlock")
COUNTRIES = ("RU", "KZ", "NG")
ROLES = ("support", "devices")
_STATES = ("WORKS", "ON_LEAVE", "DISMISSED")

HEAD = "\n".join(
    [
        *(f'level("{name}", "{level}");' for name, (level, _) in FIELDS.items()),
        *(f'masked("{name}", "{form}");' for name, (_, form) in FIELDS.items() if form),
        'resource_of("Employee", "Employee");',
        'resource_of("HrSection", "Employee");',
        'structural("PageInfo");',
        *(f'role("{role}", "…");' for role in ROLES),
        'rank("support", 1); rank("devices", 1); rank("devices", 2);',
        'reaches(p: Person, _e: Employee) if "all" in p.countries;',
        "reaches(p: Person, e: Employee) if e.country in p.countries;",
        "ranked(p: Person, level) if rank(role, level) and role in p.roles;",
        "own(p: Person, e: Employee) if e.manager_id = p.employee_id;",
        "own(p: Person, e: Employee) if e.id = p.employee_id and not \"token\" in p.facts;",
        'named(field, "contact") if field in ["Employee.email", "Employee.phone"];',
        'named(field, "hr") if part_of(field, "HrSection");',
    ]
)  # fmt: skip


def _one_of(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


def _quoted(values: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.sampled_from(values).map(lambda value: f'"{value}"')


def _several(values: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.lists(_quoted(values), max_size=2).map(lambda chosen: f"[{', '.join(chosen)}]")


_COMPARED = st.one_of(
    st.builds("e.country {} {}".format, _one_of("=", "!="), _quoted(COUNTRIES)),
    st.builds("{} = e.state".format, _quoted(_STATES)),
    st.builds("e.state in {}".format, _several(_STATES)),
    st.builds("e.protected {} {}".format, _one_of("=", "!="), _one_of("true", "false")),
    st.builds("e.{} {} p.employee_id".format, _one_of("id", "manager_id"), _one_of("=", "!=")),
    st.builds("{} in p.roles".format, _quoted(ROLES)),
    st.builds("{} in p.facts".format, _quoted(("session", "second_factor", "working_hours"))),
)
_ATOM = st.one_of(
    _COMPARED,
    _one_of("e.country in p.countries", "e.office in p.teams", "reaches(p, e)", "own(p, e)"),
    _one_of("ranked(p, 1)", "ranked(p, 2)"),
)


def _joined(word: str, inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(inner, min_size=2, max_size=3).map(lambda terms: f"({f' {word} '.join(terms)})")


_NEGATED = st.recursive(
    _COMPARED, lambda inner: st.one_of(_joined("and", inner), _joined("or", inner)), max_leaves=3
).map(lambda goal: f"not ({goal})")
_CONDITION = st.recursive(
    st.one_of(st.just("true"), _ATOM, _ATOM, _NEGATED),
    lambda inner: st.one_of(_joined("and", inner), _joined("or", inner)),
    max_leaves=5,
)
_LEVEL = _quoted(("public", "internal", "confidential", "secret"))
_CHOICE = st.one_of(
    st.builds("level(field, {})".format, _LEVEL),
    st.builds("part_of(field, {})".format, _quoted(("Employee", "HrSection"))),
    st.builds("level(field, {}) and field != {}".format, _LEVEL, _quoted(tuple(FIELDS))),
    st.builds("field != {} and level(field, {})".format, _quoted(tuple(FIELDS)), _LEVEL),
    st.builds("field in {}".format, _several(tuple(FIELDS))),
    st.builds("section in {} and part_of(field, section)".format, _several(("Employee", "HrSection"))),
    st.builds("named(field, {})".format, _quoted(("contact", "hr"))),
    st.builds("(named(field, {}) or level(field, {}))".format, _quoted(("contact", "hr")), _LEVEL),
    st.just("masked(field, _)"),
    st.builds("masked(field, form) and form != {}".format, _quoted(("hidden", "domain"))),
)
_FIELD_RULE = st.tuples(
    st.sampled_from(["read", "read", "mask", "mask", "match"]), st.just("field"), _CHOICE, _CONDITION
)
_NAMED_RULE = st.one_of(
    st.tuples(
        st.sampled_from(["read", "mask", "match"]), _quoted(tuple(FIELDS)), st.just("true"), _CONDITION
    ),
    st.tuples(st.just("run"), _quoted(OPERATIONS), st.just("true"), _CONDITION),
)


def _rule(number: int, rule: tuple[str, str, str, str], *, names_first: bool) -> str:
    action, thing, choice, condition = rule
    # Every variable of a head has to be used: Oso warns otherwise, and a warning refuses the file
    condition = f"anybody(p, e) and {condition}"
    body = f"{choice} and {condition}" if names_first else f"{condition} and {choice}"
    return f'permit(p: Person, "{action}", e: Employee, {thing}, "x.rule{number}: rule {number}") if {body};'


@st.composite
def policies(draw: st.DrawFn) -> str:
    """The text of a policy of a few rules."""
    rules = draw(st.lists(st.one_of(_FIELD_RULE, _NAMED_RULE), min_size=3, max_size=9))
    names_first = draw(st.booleans())
    lines = [_rule(number, rule, names_first=names_first) for number, rule in enumerate(rules)]
    return "\n".join([HEAD, "anybody(_p: Person, _e: Employee);", *lines])


def _subsets(values: tuple[str, ...]) -> st.SearchStrategy[frozenset[str]]:
    return st.sets(st.sampled_from(values)).map(frozenset)


RIGHTS = st.builds(
    Rights,
    roles=_subsets(ROLES),
    teams=_subsets(("HQ",)),
    countries=_subsets((*COUNTRIES, "all")),
    facts=_subsets(tuple(sorted(FACTS))),
)
