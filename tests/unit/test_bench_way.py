from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from bench import way
from bench.sink import first_version
from bench.way_watch import Times, journey
from schemas.records import EnrichedMessage, Step

BEGAN = datetime(2026, 11, 27, tzinfo=UTC)
STAGES_AT = {"dedupe": 20, "store_media": 50, "describe": 500}


def at(milliseconds: float) -> datetime:
    return BEGAN + timedelta(milliseconds=milliseconds)


def seen(stored: float = 0) -> Times:
    sent, answered, visible, row = (at(one).timestamp() for one in (0, 7, 600, 650))
    return Times(sent, answered, at(stored).timestamp(), visible, row)


def message(*stages: str) -> EnrichedMessage:
    steps = tuple(
        Step(stage=one, outcome="x", topic="x", partition=0, offset=0, at=at(STAGES_AT[one]))
        for one in stages
    )
    return msgspec.structs.replace(
        first_version(0), received_at=at(5), enriched_at=at(540), steps=steps
    )


def test_the_parts_of_a_text_add_up_to_its_way() -> None:
    found = journey(message("dedupe"), seen(), 0.3)
    assert found.whole_ms == pytest.approx(650, abs=0.01)
    assert found.answer_ms == pytest.approx(7, abs=0.01)
    assert {name: round(part) for name, part in found.parts_ms.items()} == {
        "receive": 5,
        "Kafka, to dedupe": 15,
        "dedupe's commit": 580,
        "sink": 50,
    }


def test_the_parts_of_a_photo_name_every_stage_and_the_model() -> None:
    found = journey(message("dedupe", "store_media", "describe"), seen(stored=90), 0.3)
    assert found.whole_ms == pytest.approx(650, abs=0.01)
    assert {name: round(part) for name, part in found.parts_ms.items()} == {
        "receive": 5,
        "Kafka, to dedupe": 15,
        "dedupe's commit, to store_media": 30,
        "store_media: fetch and store": 40,
        "its commit, to describe, prepare": 110,
        "the model": 300,
        "describe's commit, to assemble": 40,
        "assemble's commit": 60,
        "sink": 50,
    }


def test_the_tenants_of_a_scenario_take_turns_by_the_number_of_a_message() -> None:
    photos = next(one for one in way.SCENARIOS if one.is_photo)
    tenants = [way.key_of(photos, number).partition(":")[0] for number in range(700, 708)]
    assert tenants == [*way.TENANTS, *way.TENANTS]
