"""Every kind of thing the journal records. What is not listed here cannot be recorded, and so cannot be done."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from okno.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class EventType:
    """`command`: has an effect, so it is an intent and an outcome. `event`: one record says it all.

    The effect of a `local` command is committed together with its outcome: where there is no outcome, there is no effect.
    """

    id: str
    sentence: Mapping[str, str]
    kind: Literal["command", "event"]
    local: bool = False


def _command(event_id: str, en: str, ru: str) -> EventType:
    return EventType(event_id, MappingProxyType({"en": en, "ru": ru}), "command")


def _local_command(event_id: str, en: str, ru: str) -> EventType:
    return EventType(event_id, MappingProxyType({"en": en, "ru": ru}), "command", local=True)


def _event(event_id: str, en: str, ru: str) -> EventType:
    return EventType(event_id, MappingProxyType({"en": en, "ru": ru}), "event")


_ALL = (
    _command(
        "operation.preview", "Looked at what an operation would change", "Просмотр изменений перед операцией"
    ),
    _command("operation.run", "Ran an operation", "Выполнение операции"),
    _event("session.started", "Signed in", "Вход"),
    _event("session.failed", "Failed to sign in", "Неудачный вход"),
    _event("session.locked", "Locked after failed sign-ins", "Временная блокировка после неудачных входов"),
    _event("session.unlocked", "Let sign in again", "Снятие блокировки входа"),
    _event("session.ended", "Signed out", "Выход"),
    _event("session.ended_all", "Ended all sessions of a person", "Завершение всех сеансов человека"),
    _local_command("token.issued", "Issued a token", "Выпуск токена"),
    _local_command("token.revoked", "Revoked a token", "Отзыв токена"),
    _event(
        "account.provisioned",
        "Took over what the identity provider says of a person",
        "Обновление учётной записи по данным поставщика удостоверений",
    ),
    _event("access.denied", "Was denied", "Отказ в доступе"),
    _event("sensitive.read", "Read sensitive fields", "Чтение конфиденциальных полей"),
    _event("policy.loaded", "Loaded the policy", "Загрузка политики"),
    _event("policy.refused", "Refused a changed policy", "Отказ от изменённой политики"),
    _event("privacy.exported", "Exported what is held about a person", "Выгрузка данных о человеке"),
    _command("privacy.erased", "Erased what is held about a person", "Удаление данных о человеке"),
    _local_command(
        "privacy.lifted",
        "Let the index take an erased person in again",
        "Разрешение снова внести удалённого человека в индекс",
    ),
    _local_command(
        "privacy.forgotten", "Deleted data whose time is over", "Удаление данных с истёкшим сроком"
    ),
    _event("journal.started", "Began a chain of the journal", "Начало цепочки журнала"),
    _event("journal.stopped", "Closed a chain of the journal", "Завершение цепочки журнала"),
    _event(
        "journal.interrupted",
        "Lost and restored the connection of the journal",
        "Обрыв и восстановление связи журнала",
    ),
    _event(
        "journal.intruded",
        "Left a chain of the journal to which somebody else had written",
        "Отказ от цепочки журнала, в которую записал посторонний",
    ),
    _command("journal.cut", "Cut old records off the journal", "Отсечение старых записей журнала"),
    _command("journal.key_rotated", "Changed the journal's key", "Смена ключа журнала"),
    _event(
        "journal.sink_failed",
        "Could not bring checkpoints to the second place",
        "Сбой отправки контрольных точек во второе место",
    ),
    _event(
        "journal.sink_restored",
        "Brought all checkpoints to the second place again",
        "Отправка контрольных точек во второе место восстановлена",
    ),
    _event("journal.exporting", "Began to export the journal", "Начало выгрузки журнала"),
    _command("journal.exported", "Exported the journal", "Выгрузка журнала"),
    _event("journal.erased", "Erased the personal values of a record", "Удаление личных данных записи"),
)

EVENT_TYPES: Mapping[str, EventType] = MappingProxyType({kind.id: kind for kind in _ALL})

# Commands whose effect is committed together with their outcome (`Command.commit`): one without an outcome was not done
LOCAL = frozenset({"token.issued", "token.revoked"})


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
