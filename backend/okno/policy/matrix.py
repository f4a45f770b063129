"""Who may do what, thing by thing: fields, mutations, operations and pages, each with the rules that give it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from okno.policy.condition import TRUE, AllOf, AnyOf, Compare, Condition, all_of, any_of
from okno.policy.model import ACTIONS, FACTS, RESOURCES, Alternative, Outcome, Rights
from okno.policy.names import Holder, HolderKind, SchemaNames
from okno.policy.requirement import Either, Every, InPersons, PersonHas, Requirement
from okno.policy.service import Policy
from okno.policy.spelling import in_persons, person_has, spell

# Ways of signing in; which one it was is decided by the request, not by the team
_WAYS = frozenset({"session", "token", "service"})
_OPEN = FACTS - _WAYS
# Nobody has a role alone: in which countries, for which team, is not known then
_LISTS = frozenset({"countries", "teams"})


@dataclass(frozen=True, slots=True, order=True)
class Given:
    """A rule that gives something, and when, as a policy file would spell it; None: always."""

    rule: str
    when: str | None


@dataclass(frozen=True, slots=True)
class Access:
    """What one holder of rights may do with one thing.

    Attributes:
        action: read, write, run, use, mask or match.
        thing: "Type.field", a mutation, an operation or a page; "Type.*" stands for all fields of a structural type.
        outcome: of "read" also MASK; a thing that is masked stands under the action "mask" too.
        given: the rules that allow, in the order of the files; none: denied.
    """

    action: str
    thing: str
    outcome: Outcome
    given: tuple[Given, ...] = ()

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules that allow."""
        return tuple(each.rule for each in self.given)

    @property
    def condition(self) -> str | None:
        """When any of the rules allows; None: always, or, if nothing is given, never."""
        conditions = [each.when for each in self.given]
        if not conditions or None in conditions:
            return None
        unique = dict.fromkeys(each for each in conditions if each is not None)
        return " or ".join(f"({each})" if len(unique) > 1 else each for each in unique)


def things(policy: Policy, names: SchemaNames) -> Iterator[tuple[str, str, str]]:
    """Everything there is to be decided, as (action, resource, thing), in the order of tables."""
    fields = sorted(
        {
            f"{name.partition('.')[0]}.*" if name.partition(".")[0] in policy.structural else name
            for name in names.fields
            if not name.startswith("Mutation.")
        }
    )
    mutations = {each if "." in each else f"Mutation.{each}" for each in names.mutations}
    mutations |= {each for each in names.fields if each.startswith("Mutation.")}
    for action in ACTIONS:
        if action == "run":
            yield from ((action, "Employee", name) for name in sorted(names.operations))
        elif action == "use":
            yield from ((action, "Okno", name) for name in sorted(names.pages or ()))
        elif action == "write":
            yield from ((action, "Okno", name) for name in sorted(mutations))
        else:
            for name in fields:
                if action == "read" or not name.endswith(".*"):
                    yield action, policy.resource_of(name.partition(".")[0]), name


def access(policy: Policy, names: SchemaNames, rights: Rights) -> list[Access]:
    """All that these rights say, denials too, as the gate decides it: the facts of the request are those in the rights.

    Raises:
        PolicyError: a rule cannot be compiled for these rights.
    """
    found = []
    for action, resource, thing in things(policy, names):
        decision = policy.table(rights, action, resource).decide(thing)
        found.append(Access(action, thing, decision.outcome, _given(decision.alternatives, resource)))
    return found


def _given(alternatives: Iterable[Alternative], resource: str) -> tuple[Given, ...]:
    return tuple(
        Given(each.rule_id, None if each.condition is None else spell(each.condition, resource))
        for each in alternatives
    )


def matrix(policy: Policy, names: SchemaNames, holder: Holder, *, own_lists: bool = False) -> list[Access]:
    """All that a team, role or service is given, denials left out, whatever the request: its facts stand in the conditions.

    No query of the engine is made: the rules were read with the person open when the policy was loaded.

    Args:
        own_lists: leaves `e.country in p.countries` and the like as they stand, instead of naming the team's countries.
    """
    ways = ("token",) if holder.kind is HolderKind.SERVICE else ("session", "token")
    facts = frozenset({"service"}) if holder.kind is HolderKind.SERVICE else frozenset[str]()
    found: dict[tuple[str, str], dict[str, list[Condition]]] = {}
    unknown = _LISTS if holder.kind in (HolderKind.EVERYBODY, HolderKind.ROLE) else frozenset[str]()
    symbolic = _LISTS if own_lists else unknown
    by_way = [
        _open(policy, _Person(replace(holder.rights, facts=facts | {way}), unknown, symbolic)) for way in ways
    ]
    for key in {**by_way[0], **by_way[-1]}:
        each = [one.get(key, AnyOf(())) for one in by_way]
        action, thing, rule = key
        if len(set(each)) == 1:
            condition = each[0]
        else:
            condition = any_of(
                all_of([one, person_has("facts", way)]) for one, way in zip(each, ways, strict=True)
            )
        if condition != AnyOf(()):
            found.setdefault((action, thing), {}).setdefault(rule, []).append(condition)
    order = {rule: place for place, rule in enumerate(policy.rules)}
    table = []
    for action, resource, thing in things(policy, names):
        rules = found.get((action, thing))
        if rules is None:
            continue
        given = tuple(
            Given(rule, None if (when := any_of(rules[rule])) == TRUE else spell(when, resource))
            for rule in sorted(rules, key=order.__getitem__)
        )
        certain = any(each.when is None for each in given)
        outcome = Outcome.ALLOW if certain else Outcome.CONDITIONAL
        table.append(Access(action, thing, outcome, given))
    return table


def holders(policy: Policy, teams: Iterable[Holder]) -> list[Holder]:
    """Whose rights are shown: everybody who signed in, the teams, each role and each scope alone."""
    return [
        Holder(HolderKind.EVERYBODY, "everybody", Rights(), "whoever signed in, without any role"),
        *teams,
        *(
            Holder(HolderKind.ROLE, role, Rights(roles=frozenset({role})), meaning)
            for role, meaning in sorted(policy.roles.items())
        ),
        *(
            Holder(HolderKind.SERVICE, scope, Rights(scopes=frozenset({scope})), meaning)
            for scope, meaning in sorted(policy.scopes.items())
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Person:
    """Whose rights are read, and what of them is left open.

    Attributes:
        unknown: lists of which it is not known what is in them.
        symbolic: lists that are not named in conditions on the row.
    """

    rights: Rights
    unknown: frozenset[str]
    symbolic: frozenset[str]


def _open(policy: Policy, person: _Person) -> Mapping[tuple[str, str, str], Condition]:
    """By (action, thing, rule) the condition on the row and on those facts of the request that teams do not settle."""
    found: dict[tuple[str, str, str], list[Condition]] = {}
    known: dict[int, Condition] = {}
    for action in ACTIONS:
        for resource in RESOURCES:
            for answer in policy.symbolic(action, resource):
                requirement, name = answer.requirement, answer.field
                if name is None or not _is_about(policy, action, resource, name):
                    continue
                condition = known.get(id(requirement))
                if condition is None:
                    condition = known[id(requirement)] = _specialise(requirement, person)
                if condition != AnyOf(()):
                    rule = answer.text.partition(":")[0]
                    found.setdefault((action, name, rule), []).append(condition)
    return {key: any_of(conditions) for key, conditions in found.items()}


def _is_about(policy: Policy, action: str, resource: str, name: str) -> bool:
    """As the compiled tables have it: whether the field is of the resource, and has a form to be masked in."""
    if action in ("write", "run", "use"):
        return True
    if action != "read" and name.endswith(".*"):
        return False
    if action == "mask" and name not in policy.masked:
        return False
    return policy.resource_of(name.partition(".")[0]) == resource


def _specialise(requirement: Requirement, person: _Person) -> Condition:
    """`requirement.specialise`, with what is open left in."""
    match requirement:
        case Compare():
            return requirement
        case PersonHas(attribute, value, negated):
            if attribute in person.unknown or (attribute == "facts" and value in _OPEN):
                return person_has(attribute, value, negated=negated)
            return AllOf(()) if (value in getattr(person.rights, attribute)) != negated else AnyOf(())
        case InPersons(attribute, of):
            if of in person.symbolic:
                return in_persons(attribute, of)
            return any_of(Compare(attribute, "=", value) for value in sorted(getattr(person.rights, of)))
        case Every(terms):
            return all_of(_specialise(term, person) for term in terms)
        case Either(terms):
            return any_of(_specialise(term, person) for term in terms)
