"""describe and transcribe as stages: the outcome for a stored file in every kind of trouble."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from schemas.keys import MessageKey, TenantId
from schemas.models import Answer, Recipe
from schemas.outcomes import Forward, Unavailable
from schemas.records import AudioJob, Enrichment, VisionJob
from streams.stages.describe import describe
from streams.stages.model_jobs import Patience, Unfit
from streams.stages.transcribe import transcribe
from tests.unit.records import NOW, SOURCE, audio_job, vision_job

RECIPE = Recipe("r1", "gpt-4o", "What is it?", "v1", "es")
ANSWER = Answer("Un perro", "gpt-4o-2024-11-20", "r1", None, 85, 7, 283, 1_200)
NEXT = Recipe("r2", "gpt-6-luna", "What is it?", "v1", "es")
FRESH, SPENT = Patience(3_599.9, 3_600.0), Patience(3_600.0, 3_600.0)
MODEL_AWAY = Unavailable("model", 30.0, hold=True)


@dataclass
class World:
    """Replaces the model and the recorded answers.

    `said` is what the model does, and `steps` is what was done, in order.
    """

    said: Answer | Unfit | Exception = ANSWER
    known: dict[tuple[TenantId, str, str], Answer] = field(default_factory=dict)
    broken: Exception | None = None
    steps: list[str] = field(default_factory=list)

    async def find(
        self, tenant_id: TenantId, sha256: str, recipes: tuple[Recipe, ...]
    ) -> Answer | None:
        self.steps.append("find")
        if self.broken is not None:
            raise self.broken
        found = (self.known.get((tenant_id, sha256, recipe.id)) for recipe in recipes)
        return next((answer for answer in found if answer is not None), None)

    async def record(
        self,
        tenant_id: TenantId,
        message_key: MessageKey,
        sha256: str,
        prompt_version: str,
        answer: Answer,
    ) -> Answer:
        self.steps.append("record")
        return self.known.setdefault((tenant_id, sha256, answer.recipe), answer)

    async def count(self, tenant_id: TenantId, answer: Answer) -> None:
        self.steps.append("count")

    async def describe(self, job: VisionJob, recipes: tuple[Recipe, ...]) -> Answer | Unfit:
        return self._ask()

    async def transcribe(self, job: AudioJob, recipes: tuple[Recipe, ...]) -> Answer | Unfit:
        return self._ask()

    def _ask(self) -> Answer | Unfit:
        self.steps.append("ask")
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


def now() -> datetime:
    return NOW


async def described(world: World, patience: Patience = FRESH, **fields: object) -> Enrichment:
    return said(
        await describe(
            vision_job(**fields),
            recipes=(RECIPE, NEXT),
            describer=world,
            results=world,
            patience=patience,
            source=SOURCE,
            now=now,
        )
    )


async def transcribed(world: World, patience: Patience = FRESH, **fields: object) -> Enrichment:
    return said(
        await transcribe(
            audio_job(**fields),
            recipes=(RECIPE, NEXT),
            transcriber=world,
            results=world,
            patience=patience,
            source=SOURCE,
            now=now,
        )
    )


def said(outcome: Forward) -> Enrichment:
    (output,) = outcome.outputs
    assert output.topic == "enrichments" and isinstance(output.record, Enrichment)
    assert (output.key, output.generation) == (output.record.message_key, output.record.generation)
    return output.record


Verb = Callable[..., Awaitable[Enrichment]]
BOTH = pytest.mark.parametrize(
    ("verb", "kind", "stage"),
    [(described, "described", "describe"), (transcribed, "transcribed", "transcribe")],
)


@BOTH
async def test_an_answer_is_recorded_before_it_is_forwarded_with_all_that_made_it(
    verb: Verb, kind: str, stage: str
) -> None:
    world = World()
    found = await verb(world, index=2, generation=3)
    assert world.steps == ["find", "ask", "record"]
    assert (found.kind, found.stage, found.index, found.generation, found.text, found.reason) == (
        kind,
        stage,
        2,
        3,
        "Un perro",
        None,
    )
    assert (found.model, found.recipe, found.prompt_version, found.cached) == (
        "gpt-4o-2024-11-20",
        "r1",
        "v1",
        False,
    )
    assert (found.input_tokens, found.output_tokens, found.price_microusd, found.latency_ms) == (
        85,
        7,
        283,
        1_200,
    )


@BOTH
async def test_the_same_content_under_the_same_recipe_is_asked_once_a_tenant(
    verb: Verb, kind: str, stage: str
) -> None:
    world = World()
    first, again = await verb(world), await verb(world, message_key="acme:ycloud:other")
    assert (first.cached, again.cached, again.text) == (False, True, first.text)
    other = await verb(world, tenant_id="zoo")
    assert (other.cached, world.steps.count("ask")) == (False, 2)


@BOTH
async def test_of_two_that_asked_at_once_the_recorded_answer_is_everyones(
    verb: Verb, kind: str, stage: str
) -> None:
    class Overtaken(World):
        def _ask(self) -> Answer | Unfit:
            self.known[TenantId("acme"), "ab" * 32, "r1"] = Answer("Un gato", "gpt-4o", "r1")
            return super()._ask()

    assert (await verb(Overtaken())).text == "Un gato"


@BOTH
@pytest.mark.parametrize(
    "failure", ["refused_by_model", "answer_truncated", "unsupported_by_model"]
)
async def test_an_answer_without_a_text_to_keep_is_counted_never_recorded_and_asked_again(
    verb: Verb, kind: str, stage: str, failure: str
) -> None:
    world = World(Answer("", "gpt-4o", "r1", failure, input_tokens=85))
    for _ in range(2):
        found = await verb(world)
        assert (found.kind, found.reason, found.text, found.cached, found.input_tokens) == (
            "failed",
            failure,
            None,
            False,
            85,
        )
    assert world.steps == ["find", "ask", "count"] * 2 and world.known == {}
    world.said = ANSWER
    assert (await verb(world, generation=1)).kind == kind


@BOTH
async def test_the_recipe_of_an_answer_is_that_of_the_model_which_gave_it(
    verb: Verb, kind: str, stage: str
) -> None:
    world = World(Answer("Un perro", "gpt-6-luna", "r2"))
    first = await verb(world)
    again = await verb(world)
    assert (first.recipe, again.recipe, again.cached) == ("r2", "r2", True)
    world.known[TenantId("acme"), "ab" * 32, "r1"] = ANSWER
    assert (await verb(world)).recipe == "r1"


@BOTH
async def test_an_unknown_price_is_null(verb: Verb, kind: str, stage: str) -> None:
    assert (await verb(World(Answer("Un perro", "m", "r1")))).price_microusd is None


@BOTH
@pytest.mark.parametrize(
    ("unfit", "outcome"),
    [
        (Unfit("image_undecodable"), "failed"),
        (Unfit("image_too_large"), "failed"),
        (Unfit("media_gone"), "failed"),
        (Unfit("audio_too_short", skipped=True), "skipped"),
    ],
)
async def test_a_file_no_model_can_take_ends_at_once_and_costs_nothing(
    verb: Verb, kind: str, stage: str, unfit: Unfit, outcome: str
) -> None:
    world = World(unfit)
    found = await verb(world)
    assert (found.kind, found.reason, found.price_microusd, "record" in world.steps) == (
        outcome,
        unfit.reason,
        None,
        False,
    )


@BOTH
async def test_a_model_that_is_away_is_asked_again_until_patience_is_over(
    verb: Verb, kind: str, stage: str
) -> None:
    with pytest.raises(Unavailable) as caught:
        await verb(World(MODEL_AWAY), FRESH)
    assert caught.value is MODEL_AWAY
    assert 0 < caught.value.at_most <= 3_600
    found = await verb(World(MODEL_AWAY), SPENT)
    assert (found.kind, found.reason, found.text) == ("failed", "model_unavailable", None)


@BOTH
async def test_a_key_that_is_rejected_is_not_called_a_model_that_is_away(
    verb: Verb, kind: str, stage: str
) -> None:
    rejected = Unavailable("model", 30.0, hold=True, detail="model_rejected_key: 401")
    with pytest.raises(Unavailable):
        await verb(World(rejected), FRESH)
    found = await verb(World(rejected), SPENT)
    assert (found.kind, found.reason) == ("failed", "model_rejected_key")


@BOTH
@pytest.mark.parametrize("what", ["object_store", "postgres", "decoder"])
async def test_trouble_of_our_own_waits_as_long_as_it_takes(
    verb: Verb, kind: str, stage: str, what: str
) -> None:
    with pytest.raises(Unavailable, match=what):
        await verb(World(Unavailable(what)), SPENT)
    with pytest.raises(Unavailable, match=what):
        await verb(World(broken=Unavailable(what)), SPENT)


@BOTH
async def test_a_model_that_came_back_after_all_patience_is_heard(
    verb: Verb, kind: str, stage: str
) -> None:
    assert (await verb(World(), SPENT)).kind == kind


async def test_silence_is_a_transcript_without_text() -> None:
    world = World(Answer("", "whisper-1", "r1"))
    found = await transcribed(world)
    assert (found.kind, found.text) == ("transcribed", None)
    assert world.known == {}
