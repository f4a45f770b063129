"""Relay ids: `Type:id` in base64. Clients keep them and read nothing into them."""

from uuid import UUID

from strawberry.relay import from_base64, to_base64

from okno.errors import InvalidInput


def parse_id(value: str, *, field: str = "id") -> tuple[str, str]:
    """The type name and the id within the type.

    Raises:
        InvalidInput: the value is no Relay id.
    """
    try:
        type_name, node_id = from_base64(value)
    except ValueError:
        raise InvalidInput(f"{field} is not an id that this API gave out.", field=field) from None
    return type_name, node_id


def parse_employee_id(value: str, *, field: str = "employee") -> UUID:
    """The employee's id.

    Raises:
        InvalidInput: the value is no Relay id, or that of something else than an employee.
    """
    type_name, node_id = parse_id(value, field=field)
    try:
        if type_name == "Employee":
            return UUID(node_id)
    except ValueError:
        pass
    raise InvalidInput(f"{field} is not the id of an employee.", field=field)


def employee_id(person_id: UUID) -> str:
    """The Relay id of an employee."""
    return to_base64("Employee", str(person_id))
