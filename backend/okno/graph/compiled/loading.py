"""Loads the sections of all rows of a list before they are completed: one question to each source, no future per row."""

import asyncio
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from okno.graph.compiled.entries import completers_of, entries_of
from okno.graph.compiled.program import Program
from okno.graph.compiled.run import Loaded
from okno.graph.compiled.writing import DENIED, SectionOf
from okno.people.api import Employee
from okno.sources.api import SectionMeta
from okno.sources.model import SectionData, SectionResult

if TYPE_CHECKING:
    from okno.graph.executor import GatedExecutor
    from okno.graph.plan import Selection


class _Chosen:
    """Of the employees that were reached those whose section is read, and the others; by identity, each of them once."""

    def __init__(self, executor: "GatedExecutor", selection: "Selection", found: Sequence[Any]) -> None:
        plan, guards = executor.plan, selection.guards
        yields = plan.yielding(selection)
        if not {Employee}.issuperset(map(type, found)):
            found = [each for each in found if isinstance(each, Employee)]
        self.wanted: dict[int, Employee] = {}
        self.denied: dict[int, Employee] = {}
        if not guards:
            self.wanted = {id(each): each for each in found if yields(each.facts)}
            if len(self.wanted) < len(found):
                self.denied = {id(each): each for each in found if id(each) not in self.wanted}
        else:
            for each in found:
                admitted = yields(each.facts) and plan.admits(selection, each.facts)
                (self.wanted if admitted else self.denied)[id(each)] = each
        self.persons = [employee.person for employee in self.wanted.values()]


def load_sections(
    executor: "GatedExecutor", program: Program, items: Sequence[Any]
) -> list[Loaded] | Awaitable[list[Loaded]]:
    """What each section of the program has for the employees among the items, or in them.

    Sources are asked for those employees only whose section the policy does not hide. Something to be awaited is given
    only where a source has to be asked indeed.
    """
    assert program.reach is not None
    reached: list[list[Any]] = [[] for _ in range(program.reached)]
    program.reach(items, reached)
    # Sections that are read under the same conditions are read of the same people
    chosen: dict[Any, _Chosen] = {}
    loads: list[tuple[SectionOf, _Chosen]] = []
    results: list[list[SectionResult] | None] = []
    loaders = executor.context_value.loaders
    for section in program.sections:
        selection = section.selection
        # An own condition's rule is remembered for each selection
        key = (section.reached, selection.ways, selection.index if selection.guards else None)
        people = chosen.get(key)
        if people is None:
            people = chosen[key] = _Chosen(executor, selection, reached[section.reached])
        loads.append((section, people))
        assert selection.section is not None
        results.append(
            loaders.find_sections(selection.section.source_id, people.persons) if people.wanted else []
        )
    if None in results:
        return _load(executor, loads)
    return [_loaded(executor, *load, found or []) for load, found in zip(loads, results, strict=True)]


async def _load(executor: "GatedExecutor", loads: Sequence[tuple[SectionOf, _Chosen]]) -> list[Loaded]:
    async def one(section: SectionOf, people: _Chosen) -> Loaded:
        spec = section.selection.section
        assert spec is not None
        if not people.wanted:
            return _loaded(executor, section, people, [])
        results = await executor.context_value.loaders.sections(spec.source_id, people.persons)
        return _loaded(executor, section, people, results)

    if len(loads) == 1:
        return [await one(*loads[0])]
    return await asyncio.gather(*(one(*load) for load in loads))


def _loaded(
    executor: "GatedExecutor", section: SectionOf, people: _Chosen, results: Sequence[SectionResult]
) -> Loaded:
    if section.is_plain:
        loaded: Loaded = dict.fromkeys(people.denied, DENIED)
        completers = completers_of(section.type)
        # Of an answer that was shown before, what `entries_of` does, in the open
        loaded.update(
            zip(
                people.wanted,
                [
                    known[1]
                    if type(data := each.data) is SectionData
                    and (known := data.completed) is not None
                    and known[0] is completers
                    else entries_of(completers, data)
                    for each in results
                ],
                strict=True,
            )
        )
        return loaded
    spec = section.selection.section
    assert spec is not None
    value_of, of_result = spec.value, SectionMeta.of_result
    loaded = {}
    if people.denied:
        meta = SectionMeta.denied(spec.source_id, spec.title)
        for key, employee in people.denied.items():
            loaded[key] = (False, value_of(meta, None, employee.facts, employee.subject_label))
    manifest = executor.context_value.sources.manifests[spec.source_id]
    for (key, employee), result in zip(people.wanted.items(), results, strict=True):
        made = partial(of_result, manifest, result)
        loaded[key] = (True, value_of(made, result.data, employee.facts, employee.subject_label))
    return loaded
