"""All SQL of the people index that answers readers: by id, by key, chains of managers, search."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Uuid,
    all_,
    and_,
    any_,
    bindparam,
    case,
    false,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession

from okno.errors import InvalidInput
from okno.people.index.merge import key_value
from okno.people.model import Found, Knowing, Known, Match, Matching, Page, Person, PersonState, Place
from okno.people.models import KeyRow, PersonRow
from okno.people.query import MIN_INFIX, Query, Word
from okno.policy.condition import AllOf, AnyOf, Compare, Condition, Me
from okno.storage.keyset import Window, read_window

_P = PersonRow.__table__.c
_PERSON_COLUMNS = tuple(_P[field.name] for field in fields(Person))
_STATE_PLACE = [field.name for field in fields(Person)].index("state")
# Made once: making it costs as much as running it.
_BY_IDS = select(*_PERSON_COLUMNS).where(_P.id == any_(bindparam("ids", type_=ARRAY(Uuid))))
#: The columns behind `Person.facts()`.
FACT_COLUMNS = {
    name: _P[name] for name in ("id", "country", "department", "office", "state", "protected", "manager_id")
}

# Ranks of a result. Within a rank: those who work before those who left, then by name, see `_Search.order`.
_EXACT, _SURNAME, _PREFIX, _INFIX = 0, 1, 2, 3
_SIMILAR = 1000  # + `_distance` of each word
# The default, 0.6, finds no word of six letters with two changed about: word_similarity('pertov', 'petrov') is 0.29.
_SIMILARITY_THRESHOLD = "0.25"
_MAX_ERRORS = 3  # letters of a word that may differ, and at most every third
_MAX_DISTANCE_LENGTH = 100  # levenshtein() refuses more than 255
_KNOWN = {
    Match.LOGIN: Known.LOGIN,
    Match.EMAIL: Known.EMAIL,
    Match.NUMBER: Known.NUMBER,
    Match.PHONE: Known.PHONE,
}
_MIN_SIMILAR = 4  # a word of three letters resembles everything


def compile_condition(condition: Condition | None, me: UUID | None) -> ColumnElement[bool]:
    """The SQL of a row condition, true for exactly the rows whose `facts()` satisfy `condition.evaluate`.

    There is no negation in the tree, so the NULL of an unknown fact never becomes true: it denies. A value of another type
    than the column's is no match either, in both.
    """
    if condition is None:
        return true()
    if isinstance(condition, AllOf):
        return and_(true(), *(compile_condition(term, me) for term in condition.terms))
    if isinstance(condition, AnyOf):
        return or_(false(), *(compile_condition(term, me) for term in condition.terms))
    return _compile_compare(condition, me)


def _compile_compare(compare: Compare, me: UUID | None) -> ColumnElement[bool]:
    column = FACT_COLUMNS.get(compare.attribute)
    if column is None:
        return false()
    kind = column.type.python_type
    value = compare.value
    if isinstance(value, Me):
        if me is None or kind is not UUID:
            return false()
        return column == me if compare.op == "=" else column != me
    wanted = value if isinstance(value, tuple) else (value,)
    # exactly: 1 is no True here, as in Python's form and in Oso
    usable = [w for w in wanted if type(w) is kind]
    if compare.op == "!=":
        return and_(column.is_not(None), column.not_in(usable)) if usable else false()
    return column.in_(usable) if usable else false()


def person_of(row: Any) -> Person:
    """The person of a row that begins with the columns of `Person`."""
    values = list(row[: len(_PERSON_COLUMNS)])
    if values[_STATE_PLACE] is not None:
        values[_STATE_PLACE] = PersonState(values[_STATE_PLACE])
    return Person(*values)


class _Search:
    """The statements of one search: what matches, in which order, for whom."""

    def __init__(
        self, query: Query, matching: Matching, knowing: Knowing, where: Condition | None, me: UUID | None
    ) -> None:
        self.query = query
        self.words = query.words
        self.single = query.single
        self.visible = compile_condition(where, me)
        self.allowed = {match: compile_condition(condition, me) for match, condition in matching.items()}
        self.known = {known: compile_condition(condition, me) for known, condition in knowing.items()}
        # An order tells of what it is made by: who left comes last, and names are in order, only where both may be read.
        self.order: dict[str, ColumnElement[Any]] = {}
        for match, name, column, unknown in (
            (Match.STATE, "left", _P.gone, false()),
            (Match.NAMES, "sort", _P.sort_name, literal("").collate("C")),
        ):
            if match in matching:
                everywhere = matching[match] in (None, where)
                self.order[name] = (
                    column if everywhere else case((self.allowed[match], column), else_=unknown)
                )

    def everybody(self) -> Select[Any]:
        """Without a rank, so that ix_people_person_sorted gives the order: 0.2 ms a page instead of sorting 50,000 rows."""
        return self._select(literal(0), true())

    def strict(self) -> Select[Any]:
        """Rows in which every word is found.

        On 50,000 rows (EXPLAIN ANALYZE, 2-core machine): `petrov` 1.0 ms for 163 rows, `ivan p` 1.6, `4567` 0.1, `ив` 1.0 for
        790, `и` 4.6 for 2,605. One GIN index over all searched columns serves each arm of the OR (BitmapOr), words meet in
        a BitmapAnd. Words of one and two letters are asked for at the beginning of a word, for which pg_trgm keeps the
        trigrams "  x" and " xy", so that they need no index of their own; inside of words they would read every row.
        """
        starts = and_(*(self._starts(word) for word in self.words))
        rank = case(
            (or_(self._exact(), self._named()), _EXACT),
            (and_(starts, or_(*(self._surname(word) for word in self.words))), _SURNAME),
            (starts, _PREFIX),
            else_=_INFIX,
        )
        return self._select(rank, or_(and_(*(self._contains(word) for word in self.words)), self._named()))

    def similar(self) -> Select[Any] | None:
        """Rows whose names resemble the words; None where no word is long enough to resemble anything.

        Trigrams choose roughly, the letters that differ decide: by trigrams alone `pertov` is nearer to Perez than to Petrov.
        For typing errors only, when `strict` is empty: 15 to 40 ms; 80 where every twentieth name shares the beginning.
        """
        names = self.allowed.get(Match.NAMES)
        long = {word: joined for word in self.words if len(joined := "".join(word.names)) >= _MIN_SIMILAR}
        if names is None or not long:
            return None
        found: list[ColumnElement[bool]] = []
        rank: ColumnElement[int] = literal(_SIMILAR)
        for word in self.words:
            if word not in long:
                found.append(self._contains(word))
                continue
            errors = min(len(long[word]) // 3, _MAX_ERRORS)
            distance = _distance(long[word], errors)
            near = and_(names, _P.search_names.op("%>")(long[word]), distance < 2 * errors + 2)
            found.append(or_(self._contains(word), near))
            rank = rank + case((names, distance), else_=0)
        return self._select(rank, and_(*found))

    def _select(self, rank: ColumnElement[int], found: ColumnElement[bool]) -> Select[Any]:
        ordered = [column.label(name) for name, column in self.order.items()]
        return select(*_PERSON_COLUMNS, rank.label("rank"), *ordered).where(self.visible, found)

    def _contains(self, word: Word) -> ColumnElement[bool]:
        names, ident = (
            self._names(word, lambda part: _within(part if len(part) >= MIN_INFIX else f" {part}")),
            _within(word.identifier),
        )
        if self._is_short(word):
            return or_(self._either((Match.NAMES, names), *self._identical(word)), self._recognised(word))
        found = self._either(
            (Match.NAMES, names),
            (Match.LOGIN, [_P.search_login.like(ident)] if word.identifier else []),
            (Match.EMAIL, self._email(word, ident)),
            (Match.NUMBER, self._number(word)),
            (Match.PHONE, [_P.search_phone.like(f"%{phone}%") for phone in word.phones]),
        )
        return or_(found, self._recognised(word))

    def _starts(self, word: Word) -> ColumnElement[bool]:
        names, start = self._names(word, lambda part: f"% {part}%"), _escape(word.identifier) + "%"
        if self._is_short(word):
            return or_(self._either((Match.NAMES, names), *self._identical(word)), self._recognised(word))
        login = [_P.search_login.like(start), _P.search_login.like("%." + start)] if word.identifier else []
        found = self._either(
            (Match.NAMES, names),
            (Match.LOGIN, login),
            (Match.EMAIL, [*self._email(word, start), *self._email(word, "%." + start)]),
            (Match.NUMBER, self._number(word)),
            (
                Match.PHONE,
                [_P.search_phone.like(p) for phone in word.phones for p in (f"{phone}%", f"%{phone}")],
            ),
        )
        return or_(found, self._recognised(word))

    def _is_short(self, word: Word) -> bool:
        """One or two letters are looked for in names, where they mean something: in logins too, `a` took 40 ms, not 20."""
        return bool(word.names) and len(word.identifier) < MIN_INFIX and Match.NAMES in self.allowed

    def _names(self, word: Word, pattern: Callable[[str], str]) -> list[ColumnElement[bool]]:
        return [and_(*(_P.search_names.like(pattern(part)) for part in word.names))] if word.names else []

    def _identical(self, word: Word) -> list[tuple[Match, list[ColumnElement[bool]]]]:
        return [
            (Match.LOGIN, [_P.search_login == word.identifier] if word.identifier else []),
            (Match.EMAIL, [func.lower(_P.email) == word.identifier] if "@" in word.identifier else []),
            (Match.NUMBER, [_P.search_number == word.identifier] if word.identifier else []),
            (Match.PHONE, [_P.search_phone == phone for phone in word.phones]),
        ]

    def _surname(self, word: Word) -> ColumnElement[bool]:
        return self._either(
            (Match.NAMES, [_P.search_names.like(f"%^{''.join(word.names)}%")] if word.names else [])
        )

    def _exact(self) -> ColumnElement[bool]:
        if self.single is None:
            return false()
        return or_(self._either(*self._identical(self.single)), self._recognised(self.single))

    def _recognised(self, word: Word) -> ColumnElement[bool]:
        """Rows that the word is the whole login, address or number of, where these may be matched without being read."""
        arms = [
            and_(self.known[_KNOWN[match]], or_(*clauses))
            for match, clauses in self._identical(word)
            if clauses and _KNOWN[match] in self.known
        ]
        return or_(false(), *arms)

    def _named(self) -> ColumnElement[bool]:
        """Rows that the text is the whole name of, where it may be matched without being read."""
        arms = []
        if Known.NAME in self.known and self.query.names:
            arms.append(and_(self.known[Known.NAME], _P.sort_name.in_(self.query.names)))
        if Known.LATIN_NAME in self.known and self.query.whole:
            arms.append(and_(self.known[Known.LATIN_NAME], func.lower(_P.latin_name) == self.query.whole))
        return or_(false(), *arms)

    def _email(self, word: Word, pattern: str) -> list[ColumnElement[bool]]:
        """The part before the @ is indexed: all mail of a company has one domain, which would find everybody."""
        local, at, _domain = word.identifier.partition("@")
        if at:
            return (
                [and_(_P.search_email == local, func.lower(_P.email).like(_escape(word.identifier) + "%"))]
                if local
                else []
            )
        return [_P.search_email.like(pattern)] if local else []

    def _number(self, word: Word) -> list[ColumnElement[bool]]:
        has_digit = any(c.isdecimal() for c in word.identifier)
        return [_P.search_number.like(_escape(word.identifier) + "%")] if has_digit else []

    def _either(self, *found: tuple[Match, Sequence[ColumnElement[bool]]]) -> ColumnElement[bool]:
        """True where one of the matches holds that this reader may make on that row."""
        arms = [
            and_(self.allowed[match], or_(*clauses))
            for match, clauses in found
            if clauses and match in self.allowed
        ]
        return or_(false(), *arms)


def _distance(word: str, errors: int) -> ColumnElement[int]:
    """Twice the letters that part the word from the beginning of the nearest of the names; one more if not a family name.

    Beyond `errors` letters the number is only known to be more.
    """
    letters = word[:_MAX_DISTANCE_LENGTH]
    names = (
        func.unnest(func.string_to_array(_P.search_names, " "))
        .table_valued("word")
        .render_derived(name="names")
    )
    beginning = func.left(func.ltrim(names.c.word, "^"), len(letters))
    given_name = case((func.starts_with(names.c.word, "^"), 0), else_=1)
    nearest = func.min(2 * func.levenshtein_less_equal(beginning, letters, errors) + given_name)
    return select(nearest).select_from(names).correlate(PersonRow.__table__).scalar_subquery()


def _within(word: str) -> str:
    """The LIKE pattern of a word anywhere."""
    return f"%{_escape(word)}%"


def _escape(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


class PeopleStore:
    """Statements on the index; the caller holds the transaction."""

    async def get_many(self, session: AsyncSession, person_ids: Sequence[UUID]) -> dict[UUID, Person]:
        rows = await session.execute(_BY_IDS, {"ids": list(person_ids)})
        return {person.id: person for person in map(person_of, rows)}

    async def find_by_key(self, session: AsyncSession, kind: str, value: str) -> Person | None:
        if "\x00" in value:
            return None
        statement = select(*_PERSON_COLUMNS)
        if kind == "personnel_number":
            statement = statement.where(_P.personnel_number == value)
        else:
            known = select(KeyRow.person_id).where(KeyRow.kind == kind, KeyRow.value == key_value(value))
            statement = statement.where(_P.id.in_(known))
        rows = (await session.execute(statement.limit(2))).all()
        return person_of(rows[0]) if len(rows) == 1 else None

    async def managers_of(
        self, session: AsyncSession, person_ids: Sequence[UUID], limit: int
    ) -> dict[UUID, list[Person]]:
        path: ColumnElement[list[UUID]] = func.array_append(
            func.array_append(_uuids([]), _P.id), _P.manager_id
        )
        chain = (
            select(
                _P.id.label("below"), _P.manager_id.label("id"), literal(1).label("depth"), path.label("path")
            )
            .where(_P.id == any_(_uuids(person_ids)), _P.manager_id != _P.id)
            .cte("chain", recursive=True)
        )
        upper = PersonRow.__table__.alias("upper").c
        chain = chain.union_all(
            select(
                chain.c.below,
                upper.manager_id,
                chain.c.depth + 1,
                func.array_append(chain.c.path, upper.manager_id),
            )
            .join_from(chain, upper.id.table, upper.id == chain.c.id)
            .where(chain.c.depth < limit, upper.manager_id != all_(chain.c.path))
        )
        statement = select(*_PERSON_COLUMNS, chain.c.below).join_from(chain, _P.id.table, _P.id == chain.c.id)
        result: dict[UUID, list[Person]] = {person_id: [] for person_id in person_ids}
        for row in await session.execute(statement.order_by(chain.c.below, chain.c.depth)):
            result[row.below].append(person_of(row))
        return result

    async def count(self, session: AsyncSession) -> int:
        return await session.scalar(select(func.count()).select_from(PersonRow)) or 0

    async def search(
        self,
        session: AsyncSession,
        query: Query,
        *,
        matching: Matching,
        knowing: Knowing,
        where: Condition | None,
        me: UUID | None,
        window: Window[Place],
    ) -> Page:
        search = _Search(query, matching, knowing, where, me)
        if not query.words:
            return await self._page(session, search, search.everybody(), window, ranked=False)
        place = window.after or window.before
        if place is None or place.rank < _SIMILAR:
            page = await self._page(session, search, search.strict(), window, ranked=True)
            if page.items or place is not None:
                return page
        similar = search.similar()
        if similar is None:
            return Page((), has_previous=False, has_next=False)
        await session.execute(
            select(func.set_config("pg_trgm.word_similarity_threshold", _SIMILARITY_THRESHOLD, True))
        )
        return await self._page(session, search, similar, window, ranked=True)

    async def _page(
        self,
        session: AsyncSession,
        search: _Search,
        found: Select[Any],
        window: Window[Place],
        *,
        ranked: bool,
    ) -> Page:
        if window.after is None and window.before is None:
            columns, statement = found.selected_columns, found
        else:
            hits = found.subquery("hits").c
            columns, statement = hits, select(*hits)
        order: list[ColumnElement[Any]] = [columns.rank] if ranked else []
        order += [*(columns[name] for name in search.order), columns.id]
        places: Window[Sequence[Any]] = Window(
            window.size,
            _values(window.after, search, ranked=ranked, field="after"),
            _values(window.before, search, ranked=ranked, field="before"),
            window.backwards,
        )
        page = await read_window(session, statement, order, places, indexed=not ranked)
        items = tuple(Found(person_of(row), _place(row, search)) for row in page.rows)
        return Page(items, page.has_previous, page.has_next)


def _place(row: Any, search: _Search) -> Place:
    left = row.left if "left" in search.order else None
    sort_name = row.sort if "sort" in search.order else None
    return Place(row.rank, left, sort_name, row.id)


def _values(place: Place | None, search: _Search, *, ranked: bool, field: str) -> list[Any] | None:
    """The place as values of the order. Who may read more or less than before has another order."""
    if place is None:
        return None
    named = {"left": place.left, "sort": place.sort_name}
    if {name for name, value in named.items() if value is not None} != search.order.keys():
        raise InvalidInput(
            "Your rights have changed since this cursor was made, and so has the order of the list; begin with the first page.",
            field=field,
        )
    return [*([place.rank] if ranked else []), *(named[name] for name in search.order), place.id]


def _uuids(ids: Sequence[UUID]) -> ColumnElement[list[UUID]]:
    """One array parameter: the statement stays the same for any number of ids, so it is prepared once."""
    return literal(list(ids), ARRAY(Uuid))
