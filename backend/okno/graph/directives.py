"""The directive that tells a field's level of sensitivity, generated from the policy's facts."""

import enum

import strawberry
from strawberry.schema_directive import Location


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
