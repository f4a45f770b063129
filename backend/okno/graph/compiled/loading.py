"""Loads the sections of all rows of a list before they are completed: one question to each source, no future per row."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from okno.graph.compiled.program import Program
from okno.graph.compiled.run import Loaded
from okno.people.api import Employee
from okno.sources.api import SectionMeta

if TYPE_CHECKING:
    from okno.graph.executor import GatedExecutor
    from okno.graph.plan import Selection


async def load_sections(executor: "GatedExecutor", program: Program, items: Sequence[Any]) -> list[Loaded]:
    """What each section of the program has for the employees among the items, or in them.

    Sources are asked for those employees only whose section the policy does not hide.
    """
    assert program.reach is not None
    reached: list[list[Any]] = [[] for _ in range(program.reached)]
    program.reach(items, reached)
    loads = [_load(executor, selection, reached[number]) for selection, number in program.sections]
    if len(loads) == 1:
        return [await loads[0]]
    return await asyncio.gather(*loads)


_WANTED = (True, None)


async def _load(executor: "GatedExecutor", selection: "Selection", found: Sequence[Any]) -> Loaded:
    section = selection.section
    assert section is not None
    plan, loaded = executor.plan, Loaded()
    wanted: list[Employee] = []
    yields = plan.yielding(selection)
    denied: SectionMeta | None = None
    for employee in found:
        if id(employee) in loaded or not isinstance(employee, Employee):
            continue
        if yields(employee.facts) and (not selection.guards or plan.admits(selection, employee.facts)):
            wanted.append(employee)
            loaded[id(employee)] = _WANTED
        else:
            denied = denied or SectionMeta.denied(section.source_id, section.title)
            loaded[id(employee)] = (
                False,
                section.value(denied, None, employee.facts, employee.subject_label),
            )
    context = executor.context_value
    if not wanted:
        return loaded
    results = await context.loaders.sections(section.source_id, [each.person for each in wanted])
    manifest = context.sources.manifests[section.source_id]
    of_result, value_of = SectionMeta.of_result, section.value
    for employee, result in zip(wanted, results, strict=True):
        meta = partial(of_result, manifest, result)
        loaded[id(employee)] = (True, value_of(meta, result.data, employee.facts, employee.subject_label))
    return loaded
