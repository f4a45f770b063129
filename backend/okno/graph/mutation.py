"""The root Mutation: two generic mutations for every operation of every source."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, cast

import strawberry

from okno.errors import InvalidInput
from okno.graph.context import Context
from okno.graph.gate import View
from okno.graph.ids import parse_employee_id
from okno.operations.api import (
    OperationPreviewInput,
    OperationPreviewPayload,
    OperationRunInput,
    OperationRunPayload,
)
from okno.operations.model import Preview, Problem, RunResult, ShownChange
from okno.people.model import Person
from okno.policy.masking import Mask, hidden

Info = strawberry.Info[Any]

NO_EMPLOYEE = Problem("NOT_FOUND", "There is no such employee.", "employee")


@strawberry.type(
    description="Everything that can be done. Each mutation is decided by the policy and recorded in the journal."
)
class Mutation:
    """The root of writing."""

    @strawberry.mutation(description="Tells what an operation would change. It changes nothing itself.")
    async def operation_preview(
        self,
        info: Info,
        input: Annotated[OperationPreviewInput, strawberry.argument(description="What to preview.")],  # noqa: A002
    ) -> OperationPreviewPayload | None:
        context = cast(Context, info.context)
        person = await _person(context, input.employee)
        if isinstance(person, Problem):
            return OperationPreviewPayload.of_preview(Preview(None, None, (person,)))
        preview = await context.operations.preview(
            context.actor, str(input.operation), person, input.input, input.idempotency_key
        )
        return OperationPreviewPayload.of_preview(
            replace(
                preview,
                changes=_shown(context, person, preview.changes),
                problems=_hide(context, person, preview.problems),
            )
        )

    @strawberry.mutation(description="Runs an operation whose changes were seen. Once per idempotency key.")
    async def operation_run(
        self,
        info: Info,
        input: Annotated[OperationRunInput, strawberry.argument(description="What to run.")],  # noqa: A002
    ) -> OperationRunPayload | None:
        context = cast(Context, info.context)
        person = await _person(context, input.employee)
        if isinstance(person, Problem):
            return OperationRunPayload.of_result(RunResult(None, problems=(person,)))
        result = await context.operations.run(
            context.actor,
            str(input.operation),
            person,
            input.input,
            preview_token=input.preview_token,
            idempotency_key=input.idempotency_key,
        )
        return OperationRunPayload.of_result(
            replace(
                result,
                changes=_shown(context, person, result.changes),
                problems=_hide(context, person, result.problems),
            )
        )


async def _person(context: Context, employee: strawberry.ID) -> Person | Problem:
    """The employee, seen or not: an attempt on somebody hidden is denied, and recorded, like any other."""
    try:
        person_id = parse_employee_id(str(employee))
    except InvalidInput as error:
        return Problem(error.code, error.message, error.field)
    return (await context.people.get_many([person_id])).get(person_id) or NO_EMPLOYEE


def _hide(context: Context, person: Person, problems: Sequence[Problem]) -> Sequence[Problem]:
    """Whom the actor may not know of is told from nobody only in the journal."""
    if any(problem.code == "DENIED" for problem in problems) and not context.gate.sees(person.facts()):
        return (NO_EMPLOYEE,)
    return problems


def _shown(
    context: Context, person: Person, changes: Sequence[ShownChange] | None
) -> Sequence[ShownChange] | None:
    """The changes as the actor may see the fields that they are of: who may change a value need not know it."""
    if changes is None:
        return None
    facts, found = person.facts(), []
    for change in changes:
        section, _, field = change.path.partition(".")
        spec = context.sections.get(section)
        view = View.NOTHING
        if spec is not None and context.gate.reads(facts, "Employee", section):
            view = context.gate.view(facts, spec.type_name, field)
        if view is not View.FULL:
            hide = context.gate.mask_of(spec.type_name, field) if spec and view is View.MASKED else hidden
            change = replace(change, before=_masked(change.before, hide), after=_masked(change.after, hide))
        found.append(change)
    return found


def _masked(value: Any, hide: Mask) -> Any:
    if isinstance(value, list):
        return [_masked(each, hide) for each in value]
    return None if value is None else hide(str(value))
