"""Reading many people at once: cache, joining of reads under way, faults of one and of all, on an obedient connector."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okno.clock import ManualClock, SystemClock
from okno.sources.errors import Code, SourceError
from okno.sources.kind import ReadOnly
from okno.sources.ldap_manifest import any_of
from okno.sources.many import Many, assign
from okno.sources.model import SectionResult, State
from okno.sources.reader import Reader
from okno.sources.template import Template
from tests.contract.peers.manifests import manifest_of, with_changes

Work = Callable[[Sequence[str]], Awaitable[Many]]


class Obedient(ReadOnly):
    """Answers batches with what `work` gives and single reads with the record; notes what it is asked for."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.asked: list[list[str]] = []
        self._news = asyncio.Condition()

    async def was_asked(self, times: int) -> None:
        async with asyncio.timeout(1), self._news:
            await self._news.wait_for(lambda: len(self.asked) >= times)

    async def fetch(self, key: str) -> Any:
        self.asked.append([key])
        return record(key)

    async def fetch_many(self, keys: Sequence[str]) -> Many:
        async with self._news:
            self.asked.append(list(keys))
            self._news.notify_all()
        return await self.work(keys)

    def scan(self, cursor: str | None) -> Any:
        raise AssertionError("nobody lists here")

    async def ping(self) -> None: ...

    async def close(self) -> None: ...


def record(key: str) -> dict[str, Any]:
    return {"personnelNumber": key}


async def all_known(keys: Sequence[str]) -> Many:
    return {key: record(key) for key in keys}


def reader(
    work: Work = all_known, clock: Any = None, *, size: int = 3, **changes: Any
) -> tuple[Reader, Obedient]:
    connector = Obedient(work)
    shipped: Any = manifest_of("hr")
    many = shipped.read.many.model_copy(update={"size": size})
    read = shipped.read.model_copy(update={"many": many})
    manifest = with_changes(shipped, **{"deadline_seconds": 1, "cache_seconds": 60, **changes}, read=read)
    return Reader(manifest, connector, clock or SystemClock(), textual=False), connector


def code(result: SectionResult) -> str | None:
    return None if result.error is None else result.error.code


async def test_people_are_asked_for_in_chunks_each_of_them_once() -> None:
    source, connector = reader()
    results = await source.read_many(["1", "2", "3", "4", "2", "5"])
    assert connector.asked == [["1", "2", "3"], ["4", "5"]]
    assert {key: each.data and each.data["personnelNumber"] for key, each in results.items()} == {
        key: key for key in "12345"
    }
    await source.read_many(["5", "6"])
    assert connector.asked[2:] == [["6"]]


async def test_what_is_being_read_is_joined_by_batches_and_by_single_reads() -> None:
    go_on = asyncio.Event()

    async def waits(keys: Sequence[str]) -> Many:
        await go_on.wait()
        return await all_known(keys)

    source, connector = reader(waits, cache_seconds=0, size=10)
    reads = [
        asyncio.create_task(source.read_many(["1", "2", "3"])),
        asyncio.create_task(source.read("2", fresh=False)),
        asyncio.create_task(source.read_many(["3", "4", "5"])),
    ]
    await connector.was_asked(2)
    reads[0].cancel()  # one reader who goes away does not take the answer from the others
    go_on.set()
    first, single, second = await asyncio.gather(*reads, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert isinstance(single, SectionResult)
    assert single.data is not None
    assert isinstance(second, dict)
    assert [each.state for each in second.values()] == [State.OK] * 3
    assert connector.asked == [["1", "2", "3"], ["4", "5"]]


async def test_a_person_the_system_does_not_know_a_bad_record_and_a_missing_answer_cost_nobody_else() -> None:
    async def mixed(keys: Sequence[str]) -> Many:
        found: Many = {"1": record("1"), "2": SourceError("NOT_FOUND", "hr: no such record")}
        return {**found, "3": {"personnelNumber": 7}, "4": SourceError("BAD_ANSWER", "hr: broken")}

    source, connector = reader(mixed, size=10)
    results = await source.read_many(["1", "2", "3", "4", "5"])
    assert [code(results[key]) for key in "12345"] == [None, "NOT_FOUND", "BAD_ANSWER", "BAD_ANSWER", None]
    assert connector.asked == [["1", "2", "3", "4", "5"], ["5"]]
    assert source.runtime.health().state == "up"
    await source.read_many(["1", "2", "5"])  # that somebody is not known is remembered too
    assert len(connector.asked) == 2


async def test_a_failed_request_costs_its_chunk_with_its_code_and_the_last_answers_are_shown(
    clock: ManualClock,
) -> None:
    down = False

    async def sometimes(keys: Sequence[str]) -> Many:
        if down and "9" not in keys:
            raise SourceError("REFUSED", "hr: told so")
        return await all_known(keys)

    source, _ = reader(sometimes, clock, cache_seconds=1)
    good = await source.read_many(["1", "2"])
    clock.advance(timedelta(seconds=5))
    down = True
    results = await source.read_many(["1", "2", "3", "9", "8"])
    assert [results[key].state for key in ("1", "2", "3")] == [State.STALE, State.STALE, State.FAILED]
    assert results["1"].as_of == good["1"].as_of
    assert {code(results[key]) for key in ("1", "2", "3")} == {"REFUSED"}
    assert [results[key].state for key in ("9", "8")] == [State.OK, State.OK]


async def test_a_batch_that_hangs_ends_with_the_deadline_and_a_lost_connection_is_tried_once_more() -> None:
    async def hangs(keys: Sequence[str]) -> Many:
        await asyncio.Event().wait()
        raise AssertionError

    source, connector = reader(hangs, deadline_seconds=0.1)
    results = await source.read_many(["1", "2"])
    assert [code(each) for each in results.values()] == ["TIMEOUT", "TIMEOUT"]

    async def lost_once(keys: Sequence[str]) -> Many:
        if len(connector.asked) == 1:
            raise SourceError("UNREACHABLE", "hr: lost")
        return await all_known(keys)

    source, connector = reader(lost_once)
    results = await source.read_many(["1", "2"])
    assert [each.state for each in results.values()] == [State.OK, State.OK]
    assert connector.asked == [["1", "2"], ["1", "2"]]


async def test_chunks_run_at_once_within_the_places_of_the_source() -> None:
    running = most = 0

    async def counts(keys: Sequence[str]) -> Many:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return await all_known(keys)

    source, connector = reader(counts, concurrency=2, size=2)
    await source.read_many([str(number) for number in range(10)])
    assert (len(connector.asked), most) == (5, 2)


async def test_a_write_while_a_batch_is_under_way_keeps_its_old_answer_out_of_the_cache() -> None:
    go_on = asyncio.Event()

    async def waits(keys: Sequence[str]) -> Many:
        await go_on.wait()
        return await all_known(keys)

    source, connector = reader(waits)
    reading = asyncio.create_task(source.read_many(["1", "2"]))
    await connector.was_asked(1)
    source.forget("1")
    go_on.set()
    await reading
    await source.read_many(["1", "2"])
    assert connector.asked == [["1", "2"], ["1"]]


async def test_a_key_that_a_system_may_stumble_over_is_asked_for_alone() -> None:
    source, connector = reader(size=10)
    await source.read_many(["1", "2\x00", "3"])
    assert sorted(connector.asked) == [["1", "3"], ["2\x00"]]


async def test_where_all_is_cached_nothing_is_awaited() -> None:
    source, _ = reader()
    await source.read_many(["1", "2", "3", "4"])
    warm = source.read_many(["1", "2", "3", "4"])
    with pytest.raises(StopIteration) as finished:
        warm.send(None)  # a coroutine that gives its value at the first step has waited for nothing
    assert len(finished.value.value) == 4


@given(
    st.lists(st.sampled_from("abc"), max_size=4),
    st.lists(st.lists(st.sampled_from("abcX"), max_size=2), max_size=5),
)
def test_a_record_is_given_to_whom_it_names_and_nobody_is_taken_for_unknown_beside_a_stranger(
    keys: list[str], borne: list[list[str]]
) -> None:
    found = assign("hr", "login", keys, [(bears, number) for number, bears in enumerate(borne)])
    strangers = any(not set(bears) & set(keys) for bears in borne)
    for key in keys:
        own = [number for number, bears in enumerate(borne) if key in bears]
        answer = found.get(key)
        if len(own) == 1:
            assert answer == own[0]
        elif own:
            assert isinstance(answer, SourceError)
            assert answer.code == "BAD_ANSWER"
        elif strangers:
            assert key not in found
        else:
            assert isinstance(answer, SourceError)
            assert answer.code == "NOT_FOUND"
    assert found.keys() <= set(keys)


def test_of_keys_that_a_system_may_take_for_one_the_other_is_not_taken_for_unknown() -> None:
    found = assign("hr", "login", ["Ann", "ann", " ann", "bob"], [(["ann"], 1)])
    assert found.keys() == {"ann", "bob"}
    assert found["bob"].code == "NOT_FOUND"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("(uid={login})", "(|(uid=a)(uid=\\2a))"),
        ("(&(objectClass=x)(uid={login}))", "(&(objectClass=x)(|(uid=a)(uid=\\2a)))"),
        ("(&(c=x)(!(uid={login})))", "(|(&(c=x)(!(uid=a)))(&(c=x)(!(uid=\\2a))))"),
        ("(|(uid={login})(mail={login}))", "(|(|(uid=a)(mail=a))(|(uid=\\2a)(mail=\\2a)))"),
    ],
)
def test_an_ldap_filter_for_many_escapes_each_and_asks_for_what_they_share_once(
    template: str, expected: str
) -> None:
    assert any_of(Template(template), ["a", "*"]) == expected


KEYS = "abcdef"
FAULTS: tuple[Code | None, ...] = (None, "NOT_FOUND", "BAD_ANSWER")


@settings(deadline=None)
@given(
    truth=st.fixed_dictionaries({key: st.sampled_from(FAULTS) for key in KEYS}),
    unanswered=st.sets(st.sampled_from(KEYS)),
    cached=st.sets(st.sampled_from(KEYS)),
    age=st.sampled_from([0, 30, 100, 10_000_000]),
    whole=st.sampled_from(
        [None, "REFUSED", "TIMEOUT", "BAD_ANSWER"]
    ),  # UNREACHABLE waits before it tries again
    asked=st.lists(st.sampled_from(KEYS), max_size=8),
    size=st.integers(2, 7),
)
async def test_whatever_is_cached_known_or_broken_many_are_read_as_one_by_one(
    truth: dict[str, Code | None],
    unanswered: set[str],
    cached: set[str],
    age: int,
    whole: Code | None,
    asked: list[str],
    size: int,
) -> None:
    class Varied(Obedient):
        """Knows some people, stumbles over the records of others, and may be down as a whole."""

        down: Code | None = None

        def _one(self, key: str) -> Any:
            code = truth[key]
            return record(key) if code is None else SourceError(code, "told so")

        async def fetch(self, key: str) -> Any:
            if self.down:
                raise SourceError(self.down, "told so")
            if isinstance(found := self._one(key), SourceError):
                raise found
            return found

        async def fetch_many(self, keys: Sequence[str]) -> Many:
            if self.down:
                raise SourceError(self.down, "told so")
            return {key: self._one(key) for key in keys if key not in unanswered}

    clock = ManualClock(datetime(2026, 11, 2, 9, 0, tzinfo=UTC))
    shipped: Any = manifest_of("hr")
    read = shipped.read.model_copy(update={"many": shipped.read.many.model_copy(update={"size": size})})
    # a breaker that never opens: it counts calls, and many at once are fewer
    patient = {"failures": 1000, "open_seconds": 1}
    manifest = with_changes(shipped, cache_seconds=60, breaker=patient).model_copy(update={"read": read})
    readers = [Reader(manifest, Varied(all_known), clock, textual=False) for _ in range(2)]
    for reader_ in readers:
        for key in sorted(cached):
            await reader_.read(key, fresh=True)
    clock.advance(timedelta(seconds=age))
    for reader_ in readers:
        cast(Varied, reader_.connector).down = whole
    many = await readers[0].read_many(asked)
    # each once: what was not found is remembered, and a second answer would say since when
    alone = {key: await readers[1].read(key, fresh=False) for key in dict.fromkeys(asked)}
    assert {key: (each.state, each.data, each.as_of, code(each)) for key, each in many.items()} == {
        key: (each.state, each.data, each.as_of, code(each)) for key, each in alone.items()
    }
