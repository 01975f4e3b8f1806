"""Answers to Chatwoot's forms that are larger or stranger than any form."""

import json
from typing import Any

from connectors.providers import catalogue
from tests.unit.events import understood
from tests.unit.test_chatwoot_flags import answer


def test_an_answer_of_any_size_and_depth_is_cut() -> None:
    deep: Any = "x"
    for _ in range(50):
        deep = [deep]
    wide = [{"name": "n", "value": ["y" * 1_000] * 20}] * 210
    for values in ([{"name": "d", "value": deep}], wide, {str(n): "z" * 9_000 for n in range(999)}):
        found = understood(answer(submitted_values=values))
        assert found.role == "user" and found.content is not None
        assert len(found.attributes["submitted"]["values"]) <= 200
        assert all(len(line) < 4_500 for line in found.content.splitlines())


def test_an_answer_with_half_a_character_is_read_as_far_as_it_goes() -> None:
    for values in ("\ud800", '["\ud800"]', {"a": "b\ud800"}, [["\ud800"]]):
        event = json.dumps(answer(submitted_values=values)).encode()
        assert len(catalogue.identify("chatwoot", event)) == 1
