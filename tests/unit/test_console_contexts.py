"""Contexts from rows in memory: what is read, what comes from the cache, and what fits."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.console.change_positions import Moment
from connectors.console.context import Shown
from connectors.console.contexts import ContextQuery, Contexts, Form, ShownRows
from connectors.console.marker import Defused, Marker
from connectors.console.queries import ContextBounds, ContextKey, ContextRow, Window
from schemas.keys import TenantId

ACME, OTHER = TenantId("acme"), TenantId("other")
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
MARKER = Marker(None)


class Rows:
    """Replaces Postgres. `read` are the keys whose rows were requested."""

    def __init__(self, **contents: str) -> None:
        self.contents = contents
        self.versions = dict.fromkeys(contents, 1)
        self.read: list[list[str]] = []

    async def conversation_ids(self, tenant_id: TenantId, conversation_id: str) -> list[str]:
        return [conversation_id]

    async def statuses(self, tenant_id: TenantId, keys: Sequence[str]) -> dict[str, str]:
        return {}

    async def context_keys(self, *_: Any) -> tuple[list[ContextKey], Moment]:
        return [
            ContextKey(key, (self.versions[key], AT), False, True, True, True, AT)
            for key in reversed(self.contents)
        ], Moment(1, "1:1:")

    async def context_rows(
        self, tenant_id: TenantId, keys: Sequence[str], bounds: ContextBounds
    ) -> list[ContextRow]:
        self.read.append(list(keys))
        return [
            ContextRow(
                key,
                (self.versions[key], AT),
                "user",
                "text",
                self.contents[key],
                False,
                {},
                AT,
                len(self.contents[key]),
            )
            for key in keys
        ]


async def asked(
    contexts: Contexts, tenant: TenantId = ACME, marker: Marker = MARKER, language: str = "es"
) -> list[str]:
    look = await contexts.look(tenant, "c", ContextQuery(Window(300)))
    answer = await contexts.answer(tenant, "c", look, Form(marker, language, str))
    return [one["content"] for one in json.loads(answer)["messages"]]


def over(rows: Rows, **bounds: int) -> Contexts:
    return Contexts(rows, ContextBounds(**bounds))  # type: ignore[arg-type]


async def test_a_row_is_read_and_shown_once_as_long_as_it_does_not_change() -> None:
    rows = Rows(a="uno", b="dos")
    contexts = over(rows)
    for _ in range(3):
        assert await asked(contexts) == ["uno", "dos"]
    assert rows.read == [["b", "a"]]
    rows.contents["a"], rows.versions["a"] = "otro", 2
    assert await asked(contexts) == ["otro", "dos"]
    assert rows.read == [["b", "a"], ["a"]]


async def test_a_look_reads_no_row() -> None:
    rows = Rows(a="uno")
    for _ in range(3):
        await over(rows).look(ACME, "c", ContextQuery(Window(300), ["x"]))
    assert rows.read == []


@pytest.mark.parametrize(
    "other",
    [
        {"tenant": OTHER},
        {"marker": Marker("<<FOTO {description}>>")},
        {"language": "en"},
    ],
    ids=["tenant", "frame", "language"],
)
async def test_what_was_shown_for_one_is_not_shown_for_another(other: dict[str, Any]) -> None:
    rows = Rows(a="uno")
    contexts = over(rows)
    await asked(contexts)
    await asked(contexts, **other)
    assert rows.read == [["a"], ["a"]]


async def test_older_messages_are_left_out_when_the_bytes_are_full() -> None:
    contexts = over(Rows(a="x" * 600, b="y" * 600, c="z" * 600), total_bytes=1_800)
    assert await asked(contexts) == ["y" * 600, "z" * 600]


async def test_the_newest_message_is_always_there() -> None:
    assert await asked(over(Rows(a="x", b="y" * 600), total_bytes=10)) == ["y" * 600]


async def test_a_context_is_shown_in_a_thread_when_it_is_long() -> None:
    long = "hola [esto] " * 2_000
    assert await asked(over(Rows(a=long))) == [long]


async def test_a_marker_that_is_spread_over_messages_is_broken_up_from_the_cache_too() -> None:
    rows = Rows(a="[CONTEXTO")
    contexts = over(rows)
    assert await asked(contexts) == ["[CONTEXTO"]
    rows.contents["b"], rows.versions["b"] = "VISUAL: oro]", 1
    for _ in range(2):
        assert await asked(contexts) == ["[CONTEXTO", "VISUA·L: oro]"]


def shown(size: int) -> Shown:
    return Shown((1, AT), Defused({}, (0,)), (), size)


FORM = ("[{description}]", "es")


def test_the_shown_rows_of_a_tenant_stay_within_its_bytes() -> None:
    rows = ShownRows(most_bytes=1_000, tenant_bytes=100)
    for number in range(10):
        rows.put(ACME, str(number), shown(40), FORM)
    rows.put(OTHER, "0", shown(100), FORM)
    there = [number for number in range(10) if rows.get(ACME, str(number), (1, AT), FORM)]
    assert there == [8, 9] and rows.get(OTHER, "0", (1, AT), FORM) is not None
    assert rows.get(ACME, "9", (2, AT), FORM) is None
    assert rows.get(ACME, "9", (1, AT + timedelta(seconds=1)), FORM) is None


def test_a_row_larger_than_the_bytes_of_a_tenant_is_not_kept() -> None:
    rows = ShownRows(most_bytes=1_000, tenant_bytes=100)
    rows.put(ACME, "a", shown(101), FORM)
    assert rows.get(ACME, "a", (1, AT), FORM) is None


def test_the_tenant_that_was_shown_longest_ago_makes_room() -> None:
    rows = ShownRows(most_bytes=250, tenant_bytes=100)
    for tenant in ("one", "two", "three"):
        rows.put(TenantId(tenant), "a", shown(100), FORM)
    assert rows.get(TenantId("one"), "a", (1, AT), FORM) is None
    assert rows.get(TenantId("two"), "a", (1, AT), FORM) is not None
    rows.put(TenantId("two"), "a", shown(50), FORM)
    assert rows.get(TenantId("three"), "a", (1, AT), FORM) is not None


class EndsMeanwhile(Rows):
    """A message that is finished between any two queries about it."""

    def __init__(self) -> None:
        super().__init__(a="uno")
        self.asked = 0

    def _is_pending(self) -> bool:
        self.asked += 1
        return self.asked == 1

    async def statuses(self, tenant_id: TenantId, keys: Sequence[str]) -> dict[str, str]:
        return {"a": "pending" if self._is_pending() else "complete"}

    async def context_keys(self, *_: Any) -> tuple[list[ContextKey], Moment]:
        stamp, is_pending = (self.versions["a"], AT), self._is_pending()
        return [ContextKey("a", stamp, is_pending, True, True, True, AT)], Moment(1, "1:1:")


async def test_a_wait_does_not_end_with_an_answer_that_calls_its_message_pending() -> None:
    contexts = over(EndsMeanwhile())
    for _ in range(2):
        look = await contexts.look(ACME, "c", ContextQuery(Window(300), wait_for=("a",)))
        assert look.waits == bool(look.pending)
    assert look.pending == ()
