"""One call of a program: what generated code asks of the request, and what it hands back to the stock executor."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from graphql import GraphQLOutputType, GraphQLResolveInfo
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path, gather_with_cancel

from okno.graph.compiled.program import Program
from okno.policy.service import Alternative

if TYPE_CHECKING:
    from okno.graph.executor import GatedExecutor

Note = tuple[Any, tuple[str, ...]]
# By the identity of the employee: whether the source was asked, and the value; of a plain section the data, or DENIED
Loaded = dict[int, Any]


class Run:
    """The state of one call.

    Attributes:
        notes: objects whose fields of a recorded level were read, with the names of these.
        sections: what was loaded for each section of the program.
    """

    __slots__ = ("awaited", "executor", "notes", "path", "program", "sections")

    def __init__(
        self, executor: "GatedExecutor", program: Program, path: Path, sections: list[Loaded]
    ) -> None:
        self.executor = executor
        self.program = program
        self.path = path
        self.sections = sections
        self.notes: list[Note] = []
        self.awaited: list[int] = []

    def decide(self, guard: int) -> Callable[[Any], Alternative | None]:
        """The answers of a guard for this request's actor."""
        return self.executor.plan.guard(guard).ask

    def me(self, guard: int) -> UUID | None:
        """Who asks, as the guard's conditions compare it."""
        return self.executor.plan.guard(guard).me

    def tally(
        self,
        number: int,
        allowed: int,
        denied: int,
        rule: Alternative | None,
        masked: int = 0,
        mask_rule: Alternative | None = None,
    ) -> None:
        """Takes what a loop has counted."""
        count = self.executor.plan.count
        for selection in self.program.tallies[number]:
            count(selection, allowed, denied, rule, masked, mask_rule)

    def finish_object(self, source: Any, completed: dict[str, Any]) -> Any:
        """Has the executor resolve the fields that are not compiled; gives the object, or an awaitable of it."""
        waiting = self._resolve(source, completed, self.path)
        return _settled(completed, waiting) if waiting else completed

    def _resolve(self, source: Any, completed: dict[str, Any], path: Path) -> list[str]:
        """Fills in the other fields; gives those of them that are to be awaited."""
        executor, type_ = self.executor, self.program.type
        waiting: list[str] = []
        try:
            for name, details in self.program.others:
                value = executor.execute_field(type_, source, details, Path(path, name, type_.name), None)
                completed[name] = value
                if executor.is_awaitable(value):
                    waiting.append(name)
        except Exception:
            if waiting:
                executor.settle_in_background([completed[name] for name in waiting])
            raise
        return waiting


class ListRun(Run):
    """The state of one call for a list.

    Attributes:
        rows: the completed rows so far, in their order.
    """

    __slots__ = ("details", "fallen_back", "info", "item_type", "rows")

    def __init__(
        self,
        executor: "GatedExecutor",
        program: Program,
        path: Path,
        sections: list[Loaded],
        item_type: GraphQLOutputType,
        details: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
    ) -> None:
        super().__init__(executor, program, path, sections)
        self.item_type = item_type
        self.details = details
        self.info = info
        self.rows: list[Any] = []
        self.fallen_back = 0

    def complete(self, items: Any) -> Any:
        """Completes all items; gives their list, or an awaitable of it."""
        executor, program = self.executor, self.program
        assert program.many is not None
        try:
            program.many(items, self)
        except Exception:
            # As the stock executor does: what other rows are still waiting for is not left behind
            remaining = [each for each in items[len(self.rows) + 1 :] if executor.is_awaitable(each)]
            if left := [self.rows[index] for index in self.awaited] + remaining:
                executor.settle_in_background(left)
            raise
        finally:
            executor.note(self.notes)
            program.fallen_back += self.fallen_back
            program.completed += len(self.rows) - self.fallen_back
        return _settled(self.rows, self.awaited) if self.awaited else self.rows

    def fall_back(self, item: Any) -> Any:
        """Completes an item as the stock executor does, from the beginning."""
        self.fallen_back += 1
        executor, index = self.executor, len(self.rows)
        path = self.path.add_key(index, None)
        if executor.is_awaitable(item):
            self.awaited.append(index)
            return executor.complete_awaitable_list_item_value(
                item, self.item_type, self.details, self.info, path, None
            )
        completed: list[Any] = []
        if executor.complete_list_item_value(
            item, completed, self.item_type, self.details, self.info, path, None
        ):
            self.awaited.append(index)
        return completed[0]

    def finish(self, source: Any, completed: dict[str, Any]) -> Any:
        """Has the executor resolve the fields of a row that are not compiled; gives the row, or an awaitable of it."""
        index = len(self.rows)
        path = self.path.add_key(index, None)
        try:
            waiting = self._resolve(source, completed, path)
        except Exception as error:
            self.executor.handle_field_error(error, self.item_type, self.details, path)
            return None
        if not waiting:
            return completed
        self.awaited.append(index)
        return self._finish_later(completed, waiting, path)

    async def _finish_later(self, completed: dict[str, Any], waiting: list[str], path: Path) -> Any:
        try:
            return await _settled(completed, waiting)
        except Exception as error:
            self.executor.handle_field_error(error, self.item_type, self.details, path)
            return None


async def _settled(container: Any, keys: list[Any]) -> Any:
    """The list or the object when what is awaited at these places has come."""
    if len(keys) == 1:
        container[keys[0]] = await container[keys[0]]
        return container
    pending: list[Awaitable[Any]] = [container[key] for key in keys]
    for key, value in zip(keys, await gather_with_cancel(*pending), strict=True):
        container[key] = value
    return container
