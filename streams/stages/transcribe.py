"""transcribe: asks a speech model what is said in a stored voice note."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from schemas.models import Answer, Recipe
from schemas.outcomes import Forward
from schemas.records import AudioJob, Source
from streams.stages.model_jobs import Patience, Question, Results, Unfit, answer


class Transcriber(Protocol):
    """Loads and converts the stored sound, and asks the first available model.

    Raises Unavailable if a later try may succeed.
    """

    async def transcribe(self, job: AudioJob, recipes: tuple[Recipe, ...]) -> Answer | Unfit: ...


async def transcribe(
    job: AudioJob,
    *,
    recipes: tuple[Recipe, ...],
    transcriber: Transcriber,
    results: Results,
    patience: Patience,
    source: Source,
    now: Callable[[], datetime],
) -> Forward:
    """Turns one audio job into one `transcribed`, `failed` or `skipped` enrichment.

    The answer is recorded before it is forwarded.
    """
    question = Question(
        "transcribe", "transcribed", recipes, lambda: transcriber.transcribe(job, recipes)
    )
    return await answer(job, question, results=results, patience=patience, source=source, now=now)
