"""DataLoaders of one request. Their keys carry the actor, so that no answer can ever serve somebody else."""

from collections.abc import Sequence
from uuid import UUID

from strawberry.dataloader import DataLoader

from okno.audit.api import AuditRecord
from okno.audit.records import Record, RecordRef
from okno.audit.service import Journal
from okno.errors import InvalidInput
from okno.graph.gate import Gate
from okno.graph.ids import parse_id
from okno.graph.section_loader import SectionLoader
from okno.identity.model import Actor
from okno.people.api import Employee
from okno.people.model import Person
from okno.people.service import People
from okno.sources.model import SectionResult
from okno.sources.service import Sources

PersonKey = tuple[UUID, UUID]  # actor, person
RecordKey = tuple[UUID, RecordRef]  # actor, record
SourceKey = tuple[UUID, str]  # actor, source


class Loaders:
    """Batches and remembers what one request reads. What the actor may not see is not there."""

    def __init__(self, actor: Actor, gate: Gate, people: People, sources: Sources, journal: Journal) -> None:
        self._actor_id = actor.id
        self._gate = gate
        self._people = people
        self._sources = sources
        self._journal = journal
        self._employees: DataLoader[PersonKey, Employee | None] = DataLoader(load_fn=self._load_employees)
        self._managers: DataLoader[PersonKey, list[Person]] = DataLoader(load_fn=self._load_managers)
        self._records: DataLoader[RecordKey, Record | None] = DataLoader(load_fn=self._load_records)
        self._sections: dict[SourceKey, SectionLoader] = {}

    async def employee(self, person_id: UUID | None) -> Employee | None:
        """The employee, or None when there is none, or none that the actor may know of."""
        if person_id is None:
            return None
        return await self._employees.load((self._actor_id, person_id))

    async def managers(self, person_id: UUID) -> list[Employee]:
        """The managers that the actor may know of, the nearest first.

        The chain ends with whose own manager the actor may not read: asked one by one, it would end there too.
        """
        found: list[Employee] = []
        for person in await self._managers.load((self._actor_id, person_id)):
            if employee := self.see(person):
                found.append(employee)
            if not self._gate.reads(person.facts(), "Employee", "manager"):
                break
        return found

    async def section(self, source_id: str, person: Person) -> SectionResult:
        """What the source says about the person; asked at most once in a request."""
        loader = self._source(source_id)
        return loader.find(person) or (await loader.load((person,)))[0]

    async def sections(self, source_id: str, persons: Sequence[Person]) -> list[SectionResult]:
        """What the source says about each of them, in their order, in as few calls as its manifest allows.

        Nothing is awaited for what this request or the source's cache has already.
        """
        return await self._source(source_id).load(persons)

    def find_sections(self, source_id: str, persons: Sequence[Person]) -> list[SectionResult] | None:
        """The same without asking the source; None where it has to be asked for one of them."""
        return self._source(source_id).find_all(persons)

    async def node(self, node_id: str) -> Employee | AuditRecord | None:
        """The object of a Relay id; None for an unknown one.

        Raises:
            InvalidInput: the text is no Relay id.
        """
        type_name, key = parse_id(node_id)
        if type_name == "Employee":
            try:
                person_id = UUID(key)
            except ValueError:
                return None
            return await self.employee(person_id)
        if type_name == "AuditRecord":
            try:
                ref = RecordRef.parse(key)
            except InvalidInput:
                return None
            record = await self._records.load((self._actor_id, ref))
            if record is None:
                return None
            node = AuditRecord.of_record(record)
            return node if self._gate.sees(node.facts, "AuditRecord") else None
        return None

    def see(self, person: Person) -> Employee | None:
        """The employee as the actor's API shows it; None where the policy hides that there is one."""
        employee = Employee.of_person(person)
        return employee if self._gate.sees(employee.facts) else None

    async def _load_employees(self, keys: Sequence[PersonKey]) -> list[Employee | None]:
        people = await self._people.get_many([person_id for _, person_id in keys])
        return [self.see(person) if (person := people.get(person_id)) else None for _, person_id in keys]

    async def _load_managers(self, keys: Sequence[PersonKey]) -> list[list[Person]]:
        chains = await self._people.managers_of([person_id for _, person_id in keys])
        return [chains.get(person_id, []) for _, person_id in keys]

    async def _load_records(self, keys: Sequence[RecordKey]) -> list[Record | None]:
        records = await self._journal.get_records([ref for _, ref in keys])
        return [records.get(ref) for _, ref in keys]

    def _source(self, source_id: str) -> SectionLoader:
        key = (self._actor_id, source_id)
        loader = self._sections.get(key)
        if loader is None:
            loader = self._sections[key] = SectionLoader(self._sources, source_id)
        return loader
