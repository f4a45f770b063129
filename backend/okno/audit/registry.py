"""Every kind of thing the journal records. What is not listed here cannot be recorded, and so cannot be done."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from okno.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class EventType:
    """`command`: has an effect, so it is an intent and an outcome. `event`: one record says it all."""

    id: str
    sentence: Mapping[str, str]
    kind: Literal["command", "event"]


def _command(event_id: str, en: str, ru: str) -> EventType:
    return EventType(event_id, MappingProxyType({"en": en, "ru": ru}), "command")


def _event(event_id: str, en: str, ru: str) -> EventType:
    return EventType(event_id, MappingProxyType({"en": en, "ru": ru}), "event")


_ALL = (
    _command(
        "operation.preview", "Looked at what an operation would change", "Просмотр изменений перед операцией"
    ),
    _command("operation.run", "Ran an operation", "Выполнение операции"),
    _event("session.started", "Signed in", "Вход"),
    _event("session.failed", "Failed to sign in", "Неудачный вход"),
    _event("session.ended", "Signed out", "Выход"),
    _command("token.issued", "Issued a token", "Выпуск токена"),
    _command("token.revoked", "Revoked a token", "Отзыв токена"),
    _event("access.denied", "Was denied", "Отказ в доступе"),
    _event("sensitive.read", "Read sensitive fields", "Чтение конфиденциальных полей"),
    _event("policy.loaded", "Loaded the policy", "Загрузка политики"),
    _event("index.refreshed", "Refreshed the index of people", "Обновление индекса людей"),
    _event("journal.started", "Began a chain of the journal", "Начало цепочки журнала"),
    _event("journal.stopped", "Closed a chain of the journal", "Завершение цепочки журнала"),
    _event(
        "journal.interrupted",
        "Lost and restored the connection of the journal",
        "Обрыв и восстановление связи журнала",
    ),
    _event("journal.erased", "Erased the personal values of a record", "Удаление личных данных записи"),
)

EVENT_TYPES: Mapping[str, EventType] = MappingProxyType({kind.id: kind for kind in _ALL})


def event_type(event_id: str) -> EventType:
    """The registered type.

    Raises:
        ConfigurationError: there is no such type.
    """
    try:
        return EVENT_TYPES[event_id]
    except KeyError:
        raise ConfigurationError(
            f"the journal knows no event type {event_id!r}; add it to okno/audit/registry.py"
        ) from None


def require(event_ids: Iterable[str]) -> None:
    """Stops the start of the application when a mutation or job would record what is not registered.

    Raises:
        ConfigurationError: names every missing type.
    """
    missing = sorted(set(event_ids) - EVENT_TYPES.keys())
    if missing:
        raise ConfigurationError(
            f"event types that the journal does not know: {', '.join(missing)}; add them to okno/audit/registry.py"
        )
