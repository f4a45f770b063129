"""The directives on fields: the level of sensitivity, generated from the policy's facts, and what the field costs.

Costs are told by `@cost` and `@listSize` of Federation 2.9, so that a router in front counts as Okno does.
"""

import enum
from collections.abc import Mapping
from typing import Any

import strawberry
from strawberry import UNSET
from strawberry.federation.schema_directives import Cost, ListSize
from strawberry.schema_directive import Location
from strawberry.types.base import StrawberryContainer, StrawberryList, has_object_definition
from strawberry.types.field import StrawberryField
from strawberry.types.union import StrawberryUnion


@strawberry.enum(description="How much harm a leak of the field would do. Stated in the policy files.")
class SensitivityLevel(enum.Enum):
    """The four levels of the policy, lowest first."""

    PUBLIC = strawberry.enum_value("public", description="May be known by anybody in the company.")
    INTERNAL = strawberry.enum_value("internal", description="For those who support or manage the employee.")
    CONFIDENTIAL = strawberry.enum_value(
        "confidential", description="Personal data; every reading is recorded."
    )
    SECRET = strawberry.enum_value(
        "secret", description="Money and health; for very few, every reading is recorded."
    )


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="sensitivity",
    description="The level of sensitivity of a field. Reading a confidential or secret field leaves a record.",
)
class Sensitivity:
    """`@sensitivity(level: …)` on a field."""

    level: SensitivityLevel = strawberry.directive_field(name="level")


# Levels whose reading is recorded, see DESIGN "One read, end to end"
RECORDED_LEVELS = frozenset({"confidential", "secret"})

# Points of a field. Others cost 1 where they give an object, 0 where they give a value (as Federation's router has it)
MUTATION_WEIGHT = 10
SECTION_WEIGHT = 5  # a call of a corporate system
WEIGHTS: Mapping[str, int] = {"Query.employees": 5, "Query.auditRecords": 5, "Query.schemaUsage": 5}

# How long the lists of objects may be taken to be that are sliced by no argument
ASSUMED_SIZE = 10
ASSUMED_SIZES: Mapping[str, int] = {
    "Query.nodes": 100,
    "Query.operations": 50,
    "Query.widgets": 30,
    "Query.sources": 30,
    "Query._entities": 100,
    "Employee.managers": 10,
}
# No list of the schema gets longer: the servers refuse it
GREATEST_SIZE = 100
# Sized by the length of a list that is given; `@listSize` knows numbers only
SIZED_BY_LENGTH: Mapping[str, str] = {"Query.nodes": "ids", "Query._entities": "representations"}
# The schema's own fields, about as long as the lists are; an object within costs nothing where it is no list's
INTROSPECTION_SIZES: Mapping[str, int] = {
    "__Schema.types": 60,
    "__Schema.directives": 10,
    "__Type.fields": 7,
}
SLICING_ARGUMENTS = ["first", "last"]
SIZED_FIELDS = ["edges"]


def cost_directives(type_name: str, name: str, field: StrawberryField) -> list[object]:
    """What is printed of the cost of a field: nothing where the defaults of Federation's router say the same."""
    coordinate = f"{type_name}.{name}"
    found: list[object] = []
    weight = MUTATION_WEIGHT if type_name == "Mutation" else WEIGHTS.get(coordinate)
    if weight is not None:
        found.append(Cost(weight=weight))
    if {*SLICING_ARGUMENTS} <= {argument.python_name for argument in field.arguments}:
        found.append(_list_size(slicing_arguments=SLICING_ARGUMENTS, sized_fields=SIZED_FIELDS))
    # the edges of a connection are sized by the field that gives the connection
    elif _lists_objects(field) and not (type_name.endswith("Connection") and name in SIZED_FIELDS):
        found.append(_list_size(assumed_size=ASSUMED_SIZES.get(coordinate, ASSUMED_SIZE)))
    return found


def _list_size(**given: Any) -> ListSize:
    """What is not given is not printed: the specification's defaults hold, such as that one slicing argument is required."""
    names = ("assumed_size", "slicing_arguments", "sized_fields", "require_one_slicing_argument")
    return ListSize(**{name: given.get(name, UNSET) for name in names})


def _lists_objects(field: StrawberryField) -> bool:
    kind = field.type
    is_list = False
    while isinstance(kind, StrawberryContainer):
        is_list = is_list or isinstance(kind, StrawberryList)
        kind = kind.of_type
    return is_list and (has_object_definition(kind) or isinstance(kind, StrawberryUnion))


# One of each, for the @link of the schema: Strawberry sees those only that stand on the types themselves
LINKED = (Cost(weight=1), _list_size(assumed_size=ASSUMED_SIZE))
